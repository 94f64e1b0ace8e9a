"""Fibres: every element composes to P, the known factorization is among them, boundaries are critical throughout."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from _filters import LINEAR, QUADRATIC, Network, Roots, networks, nonzero, product, rooted
from hypothesis import assume, given
from hypothesis import strategies as st

from theory.lcn.composition import compose
from theory.lcn.dynamics import invariants
from theory.lcn.fibres import fibre, fibre_numeric, with_invariants
from theory.lcn.function_space import in_function_space, on_boundary
from theory.lcn.jacobians import jacobian_rank

ARCHITECTURES = [
    ((2, 2, 2), None),
    ((3, 2), None),
    ((3, 3), None),
    ((2, 2), (2, 1)),
    ((3, 2), (2, 1)),
    ((2, 2), (3, 1)),
]


@st.composite
def factored(draw: st.DrawFn) -> Network:
    """Filters that are products of forms with rational coefficients and of degree at most 2."""
    sizes, strides = draw(st.sampled_from(ARCHITECTURES))
    filters = []
    for k in sizes:
        pool = [f for f in LINEAR + QUADRATIC if len(f) <= k]
        first = draw(st.sampled_from(pool))
        rest = [draw(st.sampled_from(LINEAR)) for _ in range(k - len(first))]
        filters.append(product([[draw(nonzero)], first, *rest]))
    return Network(filters, strides or (1,) * len(sizes))


def monic(w: tuple) -> tuple:
    scale = next(c for c in reversed(w) if c)
    return tuple(sympy.nsimplify(sympy.simplify(c / scale)) for c in w)


@given(factored())
def test_every_element_composes_to_p_and_the_known_one_is_there(net: Network) -> None:
    composed = compose(net.filters, net.strides)
    found = fibre(composed, net.sizes, net.strides)
    for filters in found:
        rebuilt = compose(filters, net.strides)
        assert all(sympy.simplify(a - b) == 0 for a, b in zip(rebuilt, composed, strict=True))
    classes = [tuple(monic(w) for w in filters) for filters in found]
    assert len(set(classes)) == len(classes)
    assert tuple(monic(w) for w in net.filters) in classes


def test_distinct_real_roots_are_shared_out_in_all_ways() -> None:
    p = product(LINEAR[:4])
    assert len(fibre(p, (2, 2, 2, 2))) == math.factorial(4)
    assert len(fibre(p, (3, 3))) == math.comb(4, 2)
    assert len(fibre(product([LINEAR[0]] * 3), (2, 2, 2))) == 1


def test_irrational_roots() -> None:
    (first, second) = fibre((-2, 0, 1), (2, 2))
    assert {first[1][0], second[1][0]} == {sympy.sqrt(2), -sympy.sqrt(2)}
    assert fibre((1, 0, 1), (2, 2)) == ()
    assert fibre((1, 0, 0, 0, 1), (3, 2), (2, 1)) == ()  # x⁴ + 1: y² + 1 has no real root


@given(rooted(most=5).filter(lambda f: any(m > 1 for m in f.real.values())), st.data())
def test_boundary_implies_rank_deficiency_on_every_fibre_point(form: Roots, data: st.DataObject) -> None:
    """On the boundary at most e − 2 real roots are odd, so two filters of even size share a root."""
    p = form.coefficients
    degree = len(p) - 1
    evens = data.draw(st.integers(1, max(1, degree // 2)).map(lambda n: degree - 2 * (n - 1)))
    sizes = (2,) * evens + (3,) * ((degree - evens) // 2)
    assume(on_boundary(p, sizes))
    found = fibre(p, sizes)
    assert found
    assert all(jacobian_rank(filters) < len(p) for filters in found)


def test_inside_some_fibre_point_is_regular_and_some_need_not_be() -> None:
    """Negative control: (x² − 1)² x in (3, 3, 2) is inside; sharing the roots ±1 is avoidable but possible."""
    p = product([(-1, 0, 1), (-1, 0, 1), (0, 1)])
    assert in_function_space(p, (3, 3, 2))
    assert not on_boundary(p, (3, 3, 2))
    ranks = {jacobian_rank(filters) for filters in fibre(p, (3, 3, 2))}
    assert max(ranks) == len(p)
    assert min(ranks) < len(p)


@given(networks(entries=nonzero.map(float)), st.data())
def test_the_representative_with_given_invariants(net: Network, data: st.DataObject) -> None:
    count = len(net.filters) - 1
    wanted = data.draw(st.lists(st.floats(-10, 10), min_size=count, max_size=count))
    scaled = with_invariants(net.filters, wanted)
    size = 1 + max(abs(d) for d in [0.0, *wanted])
    np.testing.assert_allclose(invariants(scaled), wanted, atol=1e-9 * size)
    before, after = (np.array(compose([list(w) for w in f], net.strides)) for f in (net.filters, scaled))
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9 * np.abs(before).max())


@pytest.mark.parametrize(("sizes", "strides"), ARCHITECTURES)
def test_the_numeric_twin_finds_the_same_fibre(sizes: tuple, strides: tuple | None) -> None:
    roots = iter([2, -1, 3, Fraction(1, 2), -5])
    filters = [product([(-next(roots), 1) for _ in range(k - 1)]) for k in sizes]
    composed = compose(filters, strides)
    exact = np.array([np.concatenate(f) for f in fibre(composed, sizes, strides)], dtype=float)
    floats = np.array([np.concatenate(f) for f in fibre_numeric([float(c) for c in composed], sizes, strides)])
    assert floats.shape == exact.shape
    for row in exact:
        assert np.abs(floats - row).max(axis=1).min() < 1e-6


def test_bad_arguments_are_named() -> None:
    for of in (fibre, fibre_numeric):
        with pytest.raises(ValueError, match=r"^the fibre over the zero polynomial is not finite"):
            of((0, 0, 0), (2, 2))
        with pytest.raises(ValueError, match=r"^coefficients must be 3"):
            of((1, 1), (2, 2))
    with pytest.raises(ValueError, match=r"^a filter is zero"):
        with_invariants([[0, 0], [1, 1]], [0])
    with pytest.raises(ValueError, match=r"^invariants must be 1 for 2 filters, got 2"):
        with_invariants([[1, 0], [1, 1]], [0, 1])
