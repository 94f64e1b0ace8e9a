"""The exact rank against its formulas, hyper-factors as certificates, and where they do not suffice."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from _filters import Network, Roots, networks, product, rationals, rooted
from hypothesis import assume, given
from hypothesis import strategies as st

from theory.lcn.architectures import dimension
from theory.lcn.composition import compose
from theory.lcn.jacobians import (
    hyper_factors,
    is_critical_parameter,
    jacobian,
    jacobian_rank,
    rank_at_stride_one,
    rank_of_two_layers,
)

ZERO = Roots({(0,): 1}, {})
parts = st.lists(rooted(most=3) | st.just(ZERO), min_size=1, max_size=4)


def spread(form: tuple, step: int) -> tuple:
    """The coefficients of q(x^step)."""
    return tuple(form[i // step] if i % step == 0 else 0 for i in range((len(form) - 1) * step + 1))


def test_a_product() -> None:
    first, second = jacobian([[1, 2], [3, 4]], (2, 1))
    assert first.tolist() == [[3, 0], [0, 3], [4, 0], [0, 4]]
    assert second.tolist() == [[1, 0], [2, 0], [0, 1], [0, 2]]


@given(networks(), st.data())
def test_columns_are_partial_derivatives(net: Network, data: st.DataObject) -> None:
    """P is affine in each filter: differences are exact."""
    layer = data.draw(st.integers(0, len(net.filters) - 1))
    entry = data.draw(st.integers(0, net.sizes[layer] - 1))
    moved = [list(w) for w in net.filters]
    moved[layer][entry] += 1
    difference = np.subtract(compose(moved, net.strides), compose(net.filters, net.strides))
    assert jacobian(net.filters, net.strides)[layer][:, entry].tolist() == difference.tolist()


@given(parts)
def test_the_formula_at_stride_one_is_the_exact_rank(factors: list[Roots]) -> None:
    filters = [f.coefficients for f in factors]
    assert rank_at_stride_one(filters) == jacobian_rank(filters)


@given(st.lists(rooted(most=3), min_size=1, max_size=4))
def test_the_rank_counts_roots(factors: list[Roots]) -> None:
    """k − Σ_r (m(r) − max_i m_i(r)): from the known roots, a pair of complex ones counts twice."""
    missing = 0
    for kind, weight in (("real", 1), ("pairs", 2)):
        counts = [getattr(f, kind) for f in factors]
        for root in set().union(*counts):
            multiplicities = [c.get(root, 0) for c in counts]
            missing += weight * (sum(multiplicities) - max(multiplicities))
    filters = [f.coefficients for f in factors]
    assert jacobian_rank(filters) == len(compose(filters)) - missing


@given(networks())
def test_the_rank_lies_between_the_numeric_one_and_the_dimension(net: Network) -> None:
    rank = jacobian_rank(net.filters, net.strides)
    assert rank <= dimension(net.sizes, net.strides)
    floats = np.linalg.matrix_rank(np.concatenate(jacobian(net.filters, net.strides), axis=1).astype(float), tol=1e-9)
    assert floats <= rank  # small singular values may vanish in floats, none appear


@given(networks(), rationals.filter(bool))
def test_scalings_do_not_matter(net: Network, scale: Fraction) -> None:
    scaled = [[scale * c for c in net.filters[0]], *net.filters[1:]]
    assert jacobian_rank(scaled, net.strides) == jacobian_rank(net.filters, net.strides)


@given(st.lists(rooted(most=3), min_size=2, max_size=4), st.randoms())
def test_order_at_stride_one_does_not_matter(factors: list[Roots], random) -> None:
    shuffled = factors.copy()
    random.shuffle(shuffled)
    ranks = {jacobian_rank([f.coefficients for f in order]) for order in (factors, shuffled)}
    assert len(ranks) == 1


@given(rooted(most=2), rooted(most=2), rooted(most=2), st.integers(1, 3), st.sampled_from([(), (0,), (1,), (0, 1)]))
def test_two_layers_of_any_stride_have_a_formula(h: Roots, a: Roots, b: Roots, stride: int, zeros: tuple) -> None:
    filters = [product([spread(h.coefficients, stride), a.coefficients]), product([h.coefficients, b.coefficients])]
    for i in zeros:
        filters[i] = (0,) * len(filters[i])
    assert rank_of_two_layers(*filters, stride) == jacobian_rank(filters, (stride, 1))


@given(st.lists(rooted(most=2), min_size=3, max_size=3), rooted(most=2), st.sampled_from([(1, 2), (2, 1), (2, 2)]))
def test_hyper_factors_certify_critical_parameters(factors: list[Roots], shared: Roots, strides: tuple) -> None:
    steps = (1, strides[0], strides[0] * strides[1])
    filters = [f.coefficients for f in factors]
    for i, j in itertools.combinations(range(3), 2):
        own = filters.copy()
        own[i] = product([own[i], spread(shared.coefficients, steps[j] // steps[i])])
        own[j] = product([own[j], shared.coefficients])
        found = [f for f in hyper_factors(own, strides) if (f.lower, f.upper) == (i, j)]
        degree = len(shared.coefficients) - 1
        assert sum(len(f.form) - 1 for f in found) >= degree
        assert jacobian_rank(own, strides) <= dimension([len(w) for w in own], strides) - degree
        assert is_critical_parameter(own, strides) >= (degree > 0)


@given(networks(entries=st.integers(-2, 2), most_layers=2))
def test_for_two_layers_they_are_also_necessary(net: Network) -> None:
    assume(all(any(w) for w in net.filters))
    assert is_critical_parameter(net.filters, net.strides) == bool(hyper_factors(net.filters, net.strides))


def test_for_three_layers_they_are_not_necessary() -> None:
    filters, strides = [(1, 0, 1), (-1, 1), (-1, 1)], (2, 2)
    assert hyper_factors(filters, strides) == ()
    assert is_critical_parameter(filters, strides)
    assert (jacobian_rank(filters, strides), dimension((3, 2, 2), strides)) == (4, 5)


def test_zero_filters() -> None:
    assert jacobian_rank([(0, 0, 0), (1, 2)]) == rank_at_stride_one([(0, 0, 0), (1, 2)]) == 3
    assert jacobian_rank([(0, 0), (0, 0)]) == rank_at_stride_one([(0, 0), (0, 0)]) == 0
    assert not is_critical_parameter([(0, 0, 0), (1,)])  # a linear model
    with pytest.raises(ValueError, match=r"^a filter is zero and shares every factor"):
        hyper_factors([(0, 0), (1, 1)])


def test_floats_are_the_rationals_they_are() -> None:
    tenths = [(0.1, 1.0), (0.3, 3.0)]  # 0.3 is not three times 0.1
    assert jacobian_rank(tenths) == 3
    assert jacobian_rank([(Fraction(1, 10), 1), (Fraction(3, 10), 3)]) == 2
    with pytest.raises(ValueError, match=r"^coefficients must be finite"):
        jacobian_rank([(float("nan"), 1), (1, 1)])
