"""Planted: a shuffled, rescaled embedding is recovered exactly. Negative control: noise and permuted pixels are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.nearest_convolution import Match, nearest_convolution
from theory.operators import Convolution


def planted(layer: Convolution, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(matrix with shuffled, rescaled rows, slot = channel · positions + position of each row)."""
    matrix = np.asarray(layer.matrix(rng.normal(size=layer.weight_shape)))
    order = rng.permutation(len(matrix))
    return matrix[order] * (rng.choice([-1, 1], len(matrix)) * rng.uniform(0.2, 5, len(matrix)))[:, None], order


def correct(match: Match, slots: np.ndarray, places: int) -> float:
    """Share of the units at their position and with the majority of their channel."""
    right = 0
    for channel in range(len(match.templates)):
        units = match.channel == channel
        names, counts = np.unique(slots[units] // places, return_counts=True)
        if len(names):
            same = slots[units] // places == names[counts.argmax()]
            right += int((same & (slots[units] % places == match.position[units])).sum())
    return right / len(slots)


def test_every_unit_of_a_planted_layer_is_found() -> None:
    layer = Convolution((3, 20, 20), 6, 5, stride=2, padding=2)
    matrix, slots = planted(layer, np.random.default_rng(0))
    found = nearest_convolution(matrix.astype(np.float32), layer)
    assert found.unexplained < 1e-12
    assert (found.coverage, correct(found, slots, 100), found.templates_needed(0.999)) == (1.0, 1.0, 6)
    rebuilt = np.zeros_like(matrix)
    embedded = np.asarray(layer.matrix(found.templates))
    rebuilt = found.scale[:, None] * embedded[found.channel * 100 + found.position]
    np.testing.assert_allclose(rebuilt, matrix, atol=1e-5 * np.abs(matrix).max())


@settings(max_examples=25)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([(3, 1), (3, 2), (5, 2), (4, 2)]),
    st.tuples(st.integers(11, 15), st.integers(11, 15)),
    st.integers(0, 2**32 - 1),
)
def test_planted_layers_of_any_geometry(channels, outputs, kernel_and_stride, sides, seed) -> None:
    kernel, stride = kernel_and_stride
    layer = Convolution((channels, *sides), outputs, kernel, stride=stride, padding=kernel // 2)
    matrix, slots = planted(layer, np.random.default_rng(seed))
    found = nearest_convolution(matrix, layer)
    assert found.unexplained < 1e-12
    assert len(np.unique(found.channel * layer.out_spatial[0] * layer.out_spatial[1] + found.position)) == len(matrix)
    assert correct(found, slots, layer.out_spatial[0] * layer.out_spatial[1]) > 0.9  # corners see few taps: several fit


def test_it_degrades_gracefully_with_noise() -> None:
    layer = Convolution((3, 20, 20), 6, 5, stride=2, padding=2)
    rng = np.random.default_rng(1)
    matrix = np.asarray(layer.matrix(rng.normal(size=layer.weight_shape)))
    noise = rng.normal(size=matrix.shape)
    found = [nearest_convolution(matrix + sigma * noise, layer) for sigma in (0.0, 0.03, 0.1, 0.3, 1.0)]
    unexplained = [match.unexplained for match in found]
    assert unexplained == sorted(unexplained)
    floor = [sigma**2 * (noise**2).sum() / ((matrix + sigma * noise) ** 2).sum() for sigma in (0.03, 0.1, 0.3, 1.0)]
    for match, least in zip(found[1:4], floor, strict=False):
        assert match.unexplained <= least  # the planted convolution itself leaves the noise, the fit a little less
        assert correct(match, np.arange(len(matrix)), 100) > 0.99
    assert unexplained[-1] > 0.8


def test_permuted_pixels_and_noise_are_no_convolution() -> None:
    layer = Convolution((1, 16, 16), 4, 5, stride=2, padding=2)
    rng = np.random.default_rng(2)
    matrix, _ = planted(layer, rng)
    assert nearest_convolution(matrix[:, rng.permutation(256)], layer).unexplained > 0.5
    noise = nearest_convolution(rng.normal(size=layer.shape), layer)
    assert noise.unexplained > 0.8
    assert noise.coverage < 0.05
    assert noise.templates_needed() is None


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_nothing_depends_on_order_sign_and_scale_of_the_units(seed: int) -> None:
    layer = Convolution((1, 12, 12), 2, 3, stride=1, padding=1)
    rng = np.random.default_rng(seed)
    matrix, _ = planted(layer, rng)
    units = rng.permutation(len(matrix))[:200]
    other = matrix[units] * -2.0
    assert nearest_convolution(other, layer).unexplained < 1e-12


def test_dead_units_have_no_slot() -> None:
    layer = Convolution((1, 12, 12), 2, 3, stride=1, padding=1)
    matrix, _ = planted(layer, np.random.default_rng(3))
    matrix[:10] = 0
    found = nearest_convolution(matrix, layer)
    assert (found.channel[:10] == -1).all()
    assert np.isnan(found.explained[:10]).all()
    assert found.coverage == pytest.approx(1 - 10 / 288)


@pytest.mark.parametrize(
    ("matrix", "layer", "words"),
    [
        (np.ones((4, 9)), Convolution((1, 4, 4), 1, 3, padding=1), "16 columns"),
        (np.zeros((4, 16)), Convolution((1, 4, 4), 1, 3, padding=1), "zeros"),
        (np.full((4, 16), np.nan), Convolution((1, 4, 4), 1, 3, padding=1), "finite"),
        (np.ones((17, 16)), Convolution((1, 4, 4), 1, 3, padding=1), "do not fit"),
        (np.ones((4, 16)), Convolution((1, 16), 1, 3, padding=1), "two-dimensional"),
        (np.ones((4, 32)), Convolution((2, 4, 4), 2, 3, padding=1, groups=2), "one group"),
        (np.ones((4, 16)), Convolution((1, 4, 4), 1, 2, padding=1, dilation=2), "dilated"),
    ],
)
def test_mistakes(matrix: np.ndarray, layer: Convolution, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        nearest_convolution(matrix, layer)
