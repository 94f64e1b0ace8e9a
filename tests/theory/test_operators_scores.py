"""Scores of locality and sharing: uniform p-values under the null, and permuted pixels as the negative control."""

import numpy as np
import pytest
from _layers import convolutions, integers
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from theory.operators import Convolution, Projection, locality, project_conv, sharing

LAYERS = [
    Convolution((1, 6, 6), 2, 3, padding=1),
    Convolution((4, 5), 4, 3, stride=2, padding=1, groups=2),
    Convolution((1, 4, 4), 2, 5, padding=2, padding_mode="reflect"),
    Convolution((1, 6), 2, 3, padding=3, dilation=3, padding_mode="circular"),
]


def _null(layer: Convolution, draws: int = 400) -> list[Projection]:
    random = np.random.default_rng(7)
    return [project_conv(layer, random.standard_normal(layer.shape)) for _ in range(draws)]


@pytest.mark.parametrize("score", [locality, sharing])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_noise_has_uniform_p_values(layer: Convolution, score: object) -> None:
    """Negative control: Kolmogorov–Smirnov at level 1e-3, one fixed seed, also where taps collide."""
    p_values = [score(found).p_value for found in _null(layer)]
    assert kstest(p_values, "uniform").pvalue > 1e-3


def test_counting_taps_instead_of_dimensions_would_fail() -> None:
    """Negative control of the control: with colliding taps the number of taps is not the dimension of CONV."""
    layer = LAYERS[3]
    assert (layer.local_dimension, layer.conv_dimension) == (24, 4)
    taps = layer.out_channels * 3
    p_values = [beta.sf(sharing(found).value, taps / 2, (24 - taps) / 2) for found in _null(layer)]
    assert kstest(p_values, "uniform").pvalue < 1e-6


@given(convolutions(), st.integers(0, 2**32 - 1))
def test_embedded_convolutions_score_one(layer: Convolution, seed: int) -> None:
    assume(layer.conv_dimension > 0)
    found = project_conv(layer, layer.csr(1 + abs(integers(layer.weight_shape, seed))))
    assert locality(found).value == 1
    assert sharing(found).value == pytest.approx(1, abs=0 if not layer.pattern.collides else 1e-15)


def test_permuted_pixels() -> None:
    """Negative control: a convolution of shuffled pixels is local in their order only."""
    layer = Convolution((2, 8, 8), 3, 3, padding=1)
    matrix = layer.matrix(integers(layer.weight_shape, 0))
    order = np.random.default_rng(0).permutation(layer.shape[1])
    shuffled = project_conv(layer, matrix[:, order])
    assert locality(shuffled).value < 0.2  # 484 / 64² of the entries are local: 0.12
    assert locality(shuffled).p_value > 1e-3
    mended = project_conv(layer, matrix[:, order][:, np.argsort(order)])
    assert (locality(mended).value, sharing(mended).value) == (1, 1)
    assert locality(mended).p_value == 0 == sharing(mended).p_value


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_p_values_are_tails_of_beta(layer: Convolution) -> None:
    """Reference: scipy's distribution; 1e-9 relative for its 1 − v."""
    local, conv, whole = layer.local_dimension, layer.conv_dimension, layer.shape[0] * layer.shape[1]
    for found in _null(layer, 5):
        tail = beta.sf(locality(found).value, local / 2, (whole - local) / 2)
        assert locality(found).p_value == pytest.approx(tail, rel=1e-9)
        tail = beta.sf(sharing(found).value, conv / 2, (local - conv) / 2)
        assert sharing(found).p_value == pytest.approx(tail, rel=1e-9)


def test_where_everything_is_local_or_shared_nothing_is_surprising() -> None:
    found = project_conv(Convolution((1, 4), 1, 4), np.ones((1, 4)))
    assert locality(found) == sharing(found)
    assert (locality(found).value, locality(found).p_value) == (1, 1)


def test_zero_matrices_are_refused() -> None:
    found = project_conv(LAYERS[0], np.zeros(LAYERS[0].shape))
    with pytest.raises(ValueError, match="locality is the share of an energy that must be positive"):
        locality(found)
    with pytest.raises(ValueError, match="sharing is the share of an energy that must be positive"):
        sharing(found)
