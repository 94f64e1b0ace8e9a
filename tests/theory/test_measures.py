"""Invariants of the measures, worked values, slow twins, and what a permutation of the pixels destroys."""

from itertools import combinations, permutations, product
from math import dist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import measures
from theory.operators import Convolution, locality, project_conv, sharing

CLOSE = {"rtol": 1e-10, "atol": 1e-10}  # float64 sums of at most 10³ terms, far above their rounding
seeds = st.integers(0, 2**32 - 1)
sides = st.tuples(st.integers(2, 7), st.integers(2, 7))

ALL = {
    "participation_ratio": measures.participation_ratio,
    "centroid": measures.centroid,
    "energy_within": lambda w: measures.energy_within(w, 1.5),
    "radius_of_gyration": measures.radius_of_gyration,
    "smallest_window": measures.smallest_window,
    "moran": lambda w: measures.morans_i(w).index,
    "moran_z": lambda w: measures.morans_i(w).z_score,
    "hoyer": measures.hoyer,
    "gini": measures.gini,
    "pair_distances": lambda w: measures.pair_distances(w).observed,
}


def _filters(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Gaussian, with about a third of the pixels 0."""
    random = np.random.default_rng(seed)
    return random.standard_normal(shape) * (random.random(shape) > 0.3)


def _blob(side: int = 12, middle: tuple[float, float] = (5.0, 6.0), width: float = 1.5) -> np.ndarray:
    """A smooth filter, all its energy near one pixel."""
    row, column = np.arange(side)[:, None] - middle[0], np.arange(side) - middle[1]
    return np.exp(-(row**2 + column**2) / (2 * width**2))


@pytest.mark.parametrize("name", ALL)
@given(sides=sides, scale=st.floats(1e-200, 1e200), seed=seeds)
def test_sign_and_scale_do_not_matter(name: str, sides: tuple[int, int], scale: float, seed: int) -> None:
    filters = _filters((3, *sides), seed)
    assert np.allclose(ALL[name](-scale * filters), ALL[name](filters), equal_nan=True, **CLOSE)


@pytest.mark.parametrize("name", ALL)
@given(sides=sides, seed=seeds)
def test_a_bank_is_its_filters_one_by_one(name: str, sides: tuple[int, int], seed: int) -> None:
    bank = _filters((2, 3, *sides), seed)
    alone = np.array([[ALL[name](one) for one in row] for row in bank])
    assert np.allclose(ALL[name](bank), alone, equal_nan=True, **CLOSE)


@pytest.mark.parametrize("name", ["participation_ratio", "hoyer", "gini"])
@given(seed=seeds)
def test_permuted_pixels_keep_concentration(name: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    filters = random.standard_normal((5, 7))
    assert np.allclose(ALL[name](random.permutation(filters.ravel()).reshape(5, 7)), ALL[name](filters), **CLOSE)


@given(seed=seeds)
def test_permuted_pixels_lose_smoothness_and_place(seed: int) -> None:
    smooth = _blob()
    scattered = np.random.default_rng(seed).permutation(smooth.ravel()).reshape(smooth.shape)
    assert measures.morans_i(smooth).z_score > 10
    assert abs(measures.morans_i(scattered).z_score) < 6
    assert measures.radius_of_gyration(scattered) > 1.5 * measures.radius_of_gyration(smooth)
    assert measures.smallest_window(scattered) > measures.smallest_window(smooth)


def test_worked_values() -> None:
    one, flat = np.eye(4)[:1] * np.ones((4, 1)) * np.eye(4)[:, :1], np.full((4, 4), -2.0)
    assert (measures.participation_ratio(one), measures.participation_ratio(flat)) == (1, 16)
    assert (measures.hoyer(one), measures.hoyer(flat)) == (1, 0)
    assert (measures.gini(one), measures.gini(flat)) == (1 - 1 / 16, 0)
    assert (measures.radius_of_gyration(one), measures.smallest_window(one)) == (0, 1)
    assert measures.radius_of_gyration(flat) == pytest.approx(2.5**0.5)  # 2 · variance of 0, 1, 2, 3
    assert (measures.smallest_window(flat), measures.smallest_window(flat, 9 / 16)) == (4, 3)
    assert measures.centroid(flat).tolist() == [1.5, 1.5]
    assert measures.energy_within(flat, 0.5**0.5) == 4 / 16
    checkers = np.indices((4, 4)).sum(0) % 2
    assert measures.morans_i(checkers).index == pytest.approx(-1)


@given(sides=sides, seed=seeds, share=st.floats(0.1, 0.99))
def test_smallest_window_is_the_first_of_all_windows(sides: tuple[int, int], seed: int, share: float) -> None:
    """Slow twin."""
    energy = _filters(sides, seed) ** 2
    energy[0, 0] += 1  # not all zero

    def holds(k: int) -> bool:
        corners = product(range(sides[0]), range(sides[1]))
        return any(energy[r : r + k, c : c + k].sum() >= share * energy.sum() * (1 - 1e-12) for r, c in corners)

    assert measures.smallest_window(np.sqrt(energy), share) == next(k for k in range(1, 9) if holds(k))


@pytest.mark.parametrize("sides", [(2, 3), (1, 5), (5, 1), (2, 2)])
def test_moran_moments_are_those_of_all_permutations(sides: tuple[int, int]) -> None:
    """Slow twin: every one of the n! permutations."""
    pixels = _filters((np.prod(sides),), 3) + np.arange(np.prod(sides)) ** 2
    every = measures.morans_i(np.array(list(permutations(pixels))).reshape(-1, *sides)).index
    found = measures.morans_i(pixels.reshape(sides))
    assert found.z_score == pytest.approx((found.index - every.mean()) / every.std(), rel=1e-9)


@given(sides=sides, seed=seeds)
def test_moran_by_its_definition(sides: tuple[int, int], seed: int) -> None:
    filters = np.random.default_rng(seed).standard_normal(sides)
    place = list(product(*map(range, sides)))
    near = np.array([[dist(a, b) == 1 for b in place] for a in place])
    z = (filters - filters.mean()).ravel()
    assert measures.morans_i(filters).index == pytest.approx(len(z) / near.sum() * (z @ near @ z) / (z @ z))


@given(sides=sides, seed=seeds)
def test_pair_distances_by_counting_pairs(sides: tuple[int, int], seed: int) -> None:
    filters = _filters(sides, seed)
    filters[0, :2] = 1  # two pixels at least
    found = measures.pair_distances(filters)
    for mask, shares in ((filters != 0, found.observed), (np.ones(sides), found.random)):
        pairs = [dist(a, b) for a, b in combinations(np.argwhere(mask).tolist(), 2)]
        assert np.allclose(shares, [np.isclose(pairs, length).mean() for length in found.distances], **CLOSE)


def test_random_masks_have_the_random_distances() -> None:
    """Simulation: the mean over 400 masks, within six standard errors of it."""
    masks = np.tile(np.arange(36) < 12, (400, 1))
    scattered = np.random.default_rng(1).permuted(masks, axis=1).reshape(400, 6, 6)
    found = measures.pair_distances(scattered)
    error = found.observed.std(0) / 20
    assert (abs(found.observed.mean(0) - found.random) <= 6 * error + 1e-12).all()
    assert measures.pair_distances(_blob() > 0.5).observed[0] > 2 * measures.pair_distances(_blob()).random[0]


@given(seed=seeds, sign=st.sampled_from([-3.0, 0.5]))
def test_align_recovers_a_planted_shift(seed: int, sign: float) -> None:
    random = np.random.default_rng(seed)
    patch, shift = random.standard_normal((2, 3, 3)), random.integers(-3, 4, 2)
    first, second = np.zeros((2, 9, 9)), np.zeros((2, 9, 9))
    second[:, 3:6, 3:6] = patch
    first[:, 3 + shift[0] : 6 + shift[0], 3 + shift[1] : 6 + shift[1]] = sign * patch
    found = measures.align(first, second, channels=True)
    assert found.correlation == pytest.approx(np.sign(sign))
    assert found.shift.tolist() == shift.tolist()
    pairs = measures.align(first[:, None], second[None])
    assert pairs.correlation.shape == (2, 2)
    assert np.allclose(np.diagonal(pairs.correlation), np.sign(sign))


@given(sides=sides, seed=seeds)
def test_align_by_trying_every_shift(sides: tuple[int, int], seed: int) -> None:
    """Slow twin."""
    a, b = np.random.default_rng(seed).standard_normal((2, *sides))
    (height, width), cosines = sides, {}
    for down, right in product(range(-height + 1, height), range(-width + 1, width)):
        moved = np.zeros((3 * height, 3 * width))
        moved[height + down : 2 * height + down, width + right : 2 * width + right] = b
        inner = (a * moved[height : 2 * height, width : 2 * width]).sum()
        cosines[down, right] = inner / np.linalg.norm(a) / np.linalg.norm(b)
    found = measures.align(a, b)
    best = max(cosines, key=lambda shift: abs(cosines[shift]))
    assert found.correlation == pytest.approx(cosines[best])
    assert tuple(found.shift.tolist()) == best


@given(seed=seeds)
def test_commutator_by_its_definition(seed: int) -> None:
    """Slow twin: T as a permutation matrix."""
    matrix = np.random.default_rng(seed).standard_normal((2 * 12, 3 * 12))
    one = np.roll(np.eye(12).reshape(3, 4, 12), (1, -1), (0, 1)).reshape(12, 12)
    difference = matrix @ np.kron(np.eye(3), one) - np.kron(np.eye(2), one) @ matrix
    expected = np.linalg.norm(difference) / np.linalg.norm(matrix)
    assert measures.commutator(matrix, (3, 4), (1, -1)) == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_an_embedded_convolution_is_local_and_shared(mode: str) -> None:
    layer = Convolution((2, 8, 8), 3, 3, padding=1, padding_mode=mode)
    matrix = layer.matrix(np.random.default_rng(0).standard_normal(layer.weight_shape))
    found = project_conv(layer, matrix)
    assert locality(found).value == 1
    assert sharing(found).value == pytest.approx(1, abs=1e-15)
    filters = matrix.reshape(3, 8, 8, 2, 8, 8)[:, 1:-1, 1:-1].reshape(-1, 2, 8, 8)
    assert np.nanmax(measures.smallest_window(filters, 1.0)) <= 3
    templates = measures.align(filters[:36], filters[:1], channels=True)  # one output channel: one template
    assert np.allclose(templates.correlation, 1)


@pytest.mark.parametrize("name", [name for name in ALL if name != "pair_distances"])
def test_filters_of_zeros_have_no_measure(name: str) -> None:
    bank = np.stack([np.zeros((4, 5)), _filters((4, 5), 0)])
    found = ALL[name](bank)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_undefined_measures_are_nan() -> None:
    assert np.isnan(measures.morans_i(np.full((3, 3), 0.1)).index)  # constant
    assert np.isnan(measures.pair_distances(np.eye(3)[:1]).observed).all()  # one pixel
    assert np.isnan(measures.align(np.zeros((3, 3)), np.eye(3)).correlation)
    assert np.isnan(measures.commutator(np.zeros((4, 4)), (4,), (1,)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measures.hoyer(np.ones(3)), r"filters must be \[..., height, width\]"),
        (lambda: measures.hoyer(np.ones((1, 1))), "two pixels or more"),
        (lambda: measures.energy_within(np.ones((2, 2)), -1), "radius must not be negative"),
        (lambda: measures.smallest_window(np.ones((2, 2)), 0.0), r"share must lie in \(0, 1\]"),
        (lambda: measures.morans_i(np.ones((1, 3))), "from 4 pixels on, got 1 × 3"),
        (lambda: measures.pair_distances(np.ones((1, 1))), "two pixels or more"),
        (lambda: measures.commutator(np.ones((4, 4)), (4,), (1,), stride=2), "stride 2 must divide"),
        (lambda: measures.commutator(np.ones((4, 5)), (4,), (1,)), "does not map images"),
    ],
)
def test_input_out_of_range_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
