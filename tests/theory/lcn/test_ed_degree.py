"""The generic ED degree against two other ways to count, and the complex critical points against the generic count."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.lcn.ed_degree import generic_ed_degree
from theory.lcn.homotopy import complex_critical_points
from theory.lcn.tensors import derivatives

size_lists = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def test_worked_values() -> None:
    known = {(2,): 1, (2, 2): 6, (3, 2): 10, (3, 3): 39, (2, 2, 2): 34}
    assert {k: generic_ed_degree(k) for k in known} == known


@given(st.integers(1, 30))
def test_two_layers_with_a_pair_have_the_critical_points_of_a_rational_function(k: int) -> None:
    """f = N/D of degree 2k has 4k − 2 critical points on the projective line."""
    assert generic_ed_degree((k, 2)) == (4 * k - 2 if k > 1 else 1)


def chern_count(filter_sizes: list[int]) -> int:
    """c_n(Ω¹(log D)), D ~ H + 2H: the coefficient of Πh_i^{m_i} in Π(1 − h_i)^{m_i+1} / ((1 − H)(1 − 2H))."""
    shape = tuple(filter_sizes)

    def times(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        out = np.zeros(shape, dtype=object)
        for a in np.ndindex(shape):
            for b in np.ndindex(tuple(s - x for s, x in zip(shape, a, strict=True))):
                out[tuple(map(sum, zip(a, b, strict=True)))] += p[a] * q[b]
        return out

    one = np.zeros(shape, dtype=object)
    one[(0,) * len(shape)] = 1
    hyperplane = np.zeros(shape, dtype=object)
    total = one
    for i, k in enumerate(shape):
        h = np.zeros(shape, dtype=object)
        if k > 1:
            h[tuple(int(i == j) for j in range(len(shape)))] = 1
            hyperplane = hyperplane + h
        for _ in range(k):
            total = times(total, one - h)
    for multiple in (1, 2):
        series, power = one, one
        for _ in range(sum(shape) - len(shape)):
            power = times(power, multiple * hyperplane)
            series = series + power
        total = times(total, series)
    return int(total[tuple(k - 1 for k in shape)])


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_equals_the_chern_number_of_logarithmic_forms(filter_sizes: list[int]) -> None:
    assert generic_ed_degree(filter_sizes) == chern_count(filter_sizes)


def zero_one_matrices(rows: tuple[int, ...], columns: tuple[int, ...]) -> int:
    return sum(
        all(sum(row[j] for row in choice) == c for j, c in enumerate(columns))
        for choice in itertools.product(
            *([r for r in itertools.product((0, 1), repeat=len(columns)) if sum(r) == total] for total in rows)
        )
    )


@pytest.mark.parametrize(
    ("filter_sizes", "strata"),
    [
        ((2, 2), {(1, 1): 1, (2,): 4}),
        ((3, 2), {(1, 1, 1): 1, (2, 1): 7}),
        ((2, 2, 2), {(1, 1, 1): 1, (2, 1): 7, (3,): 7}),
        ((3, 3), {(1, 1, 1, 1): 1, (2, 1, 1): 10, (2, 2): 13}),
    ],
)
def test_is_the_sum_over_strata_of_repeated_roots(filter_sizes: tuple, strata: dict) -> None:
    """Σ_λ N(λ) gED(Δ_λ): a root of multiplicity m is shared by m filters; N counts the ways to share.

    gED of a rational normal curve and of its dual, the discriminant, is 3d − 2; of the quadratic Veronese plane 13.
    """
    degrees = tuple(k - 1 for k in filter_sizes)
    assert sum(zero_one_matrices(part, degrees) * gen for part, gen in strata.items()) == generic_ed_degree(
        filter_sizes
    )


@given(size_lists, st.randoms())
def test_order_and_scalars_do_not_matter(filter_sizes: list[int], random) -> None:
    shuffled = filter_sizes.copy()
    random.shuffle(shuffled)
    assert generic_ed_degree(shuffled) == generic_ed_degree([1, *filter_sizes])


@pytest.mark.parametrize("bad", [(), (0,), (2, -1)])
def test_invalid_sizes_are_named(bad: tuple) -> None:
    with pytest.raises(ValueError, match=r"^filter_sizes must"):
        generic_ed_degree(bad)


def test_too_many_paths_are_refused() -> None:
    with pytest.raises(ValueError, match="2,385 complex critical points"):
        complex_critical_points((3, 3, 3), np.eye(27), np.ones(27))


def test_derivatives_against_differences() -> None:
    rng = np.random.default_rng(0)
    sizes = (2, 3, 2)
    form, linear, w = rng.normal(size=(12, 12)), rng.normal(size=12), rng.normal(size=7)
    form = form + form.T

    def value(v: np.ndarray) -> float:
        tensor = np.einsum("a,b,c", v[:2], v[2:5], v[5:]).ravel()
        return tensor @ form @ tensor / 2 - linear @ tensor

    gradient, hessian = derivatives(w, sizes, form, linear)
    shifts = 1e-3 * np.eye(7)
    found = [(value(w + s) - value(w - s)) / 2e-3 for s in shifts]
    np.testing.assert_allclose(found, gradient, atol=1e-3)  # third derivatives of order 100 times 1e-6
    around = [[derivatives(w + sign * s, sizes, form, linear)[0] for sign in (1, -1)] for s in shifts]
    rows = [(after - before) / 2e-3 for after, before in around]
    np.testing.assert_allclose(rows, hessian, atol=1e-3)


@pytest.mark.parametrize("filter_sizes", [(2, 2), (2, 2, 2), pytest.param((3, 2, 2), marks=pytest.mark.slow)])
def test_paths_find_as_many_points_as_the_degree_says(filter_sizes: tuple) -> None:
    """For a convolutional problem with a generic Gram matrix, which is special among the problems on tensors."""
    rng = np.random.default_rng(1)
    degrees = np.indices(filter_sizes).sum(0).ravel()
    k = degrees.max() + 1
    root = rng.normal(size=(k, k))
    gram = root @ root.T + np.eye(k)
    form, linear = gram[np.ix_(degrees, degrees)], (gram @ rng.normal(size=k))[degrees]
    found = complex_critical_points(filter_sizes, form, linear)
    assert found.complete
    assert len(found.filters) == found.expected == generic_ed_degree(filter_sizes)
    gradients = derivatives(found.filters, filter_sizes, form, linear)[0]
    assert np.abs(gradients).max() < 1e-8 * np.abs(linear).max()  # Newton's last step is 1e-9 relative


def test_white_data_at_strides_like_the_filters_is_best_rank_one_approximation() -> None:
    """Then P lists the tensor's entries: 6 of the 34 points stay finite, the singular vector tuples of 2 × 2 × 2."""
    target = np.random.default_rng(2).normal(size=8)
    found = complex_critical_points((2, 2, 2), np.eye(8), target)
    assert found.complete
    assert len(found.filters) == 6


def test_a_singular_end_is_not_called_complete() -> None:
    """(x + 1)²: the two factorizations and a point of the discriminant have run together."""
    degrees = np.indices((2, 2)).sum(0).ravel()
    found = complex_critical_points((2, 2), np.eye(3)[np.ix_(degrees, degrees)], np.array([1.0, 2.0, 1.0])[degrees])
    assert not found.complete
    assert len(found.filters) == 3
