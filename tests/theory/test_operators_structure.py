"""Oracles with structure: Fourier singular values, shifts of circular layers, polynomial products of stacks."""

from itertools import accumulate
from math import prod
from operator import mul

import numpy as np
import pytest
from _layers import integers
from hypothesis import given
from hypothesis import strategies as st

from theory.measures import commutator
from theory.operators import Convolution, project_conv, singular_values

seeds = st.integers(0, 2**32 - 1)


@st.composite
def circular(draw: st.DrawFn) -> dict:
    """Arguments of a circular layer at stride 1 whose output is as large as its input; taps may wrap around."""
    dims, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    side = st.tuples(*[st.integers(1, (7, 5, 3)[dims - 1])] * dims)
    spatial = draw(side)
    dilation = draw(st.integers(1, 2))
    kernel = tuple(min(k, 2 * n // dilation + 1) for k, n in zip(draw(side), spatial, strict=True))
    totals = [dilation * (k - 1) for k in kernel]
    before = [draw(st.integers(max(0, t - n), min(t, n))) for t, n in zip(totals, spatial, strict=True)]
    return {
        "image": (groups * draw(st.integers(1, 3)), *spatial),
        "out_channels": groups * draw(st.integers(1, 3)),
        "kernel": kernel,
        "padding": tuple((b, t - b) for b, t in zip(before, totals, strict=True)),
        "dilation": dilation,
        "groups": groups,
        "padding_mode": "circular",
    }


@given(circular(), seeds)
def test_fourier_gives_all_singular_values(options: dict, seed: int) -> None:
    """Oracle: the dense SVD; both backward stable, 1e-12 of the largest."""
    layer = Convolution(**options)
    weight = np.random.default_rng(seed).standard_normal(layer.weight_shape)
    dense = np.linalg.svd(layer.matrix(weight), compute_uv=False)
    fast = singular_values(layer, weight)
    assert fast.shape == dense.shape
    assert np.allclose(fast, dense, rtol=0, atol=1e-12 * dense[0])


@pytest.mark.parametrize("options", [{"stride": 2}, {"padding_mode": "zeros"}, {"padding": 0}])
def test_fourier_refuses_other_layers(options: dict) -> None:
    same = {"image": (2, 6), "out_channels": 2, "kernel": 3, "padding": 1, "padding_mode": "circular"}
    layer = Convolution(**(same | options))
    with pytest.raises(ValueError, match="needs circular padding, stride 1 and equal sizes"):
        singular_values(layer, np.ones(layer.weight_shape))


@given(circular(), seeds)
def test_circular_layers_commute_with_shifts(options: dict, seed: int) -> None:
    layer = Convolution(**options)
    weight, x = integers(layer.weight_shape, seed), integers((2, *layer.image), seed + 1)
    shift = tuple(np.random.default_rng(seed).integers(-3, 4, len(layer.spatial)).tolist())
    axes = tuple(range(2, x.ndim))
    moved = layer.apply(weight, np.roll(x, shift, axes))
    assert (moved == np.roll(layer.apply(weight, x), shift, axes)).all()
    assert commutator(layer.matrix(abs(weight) + 1), layer.spatial, shift) == 0


def test_strided_circular_layers_commute_with_multiples_of_the_stride() -> None:
    layer = Convolution((2, 6, 8), 3, 3, stride=2, padding=1, padding_mode="circular")
    matrix = layer.matrix(integers(layer.weight_shape, 0))
    assert commutator(matrix, (6, 8), (2, -4), stride=2) == 0


def test_zero_padding_does_not_commute() -> None:
    """Negative control."""
    layer = Convolution((2, 6, 6), 3, 3, padding=1)
    assert commutator(layer.matrix(integers(layer.weight_shape, 0)), (6, 6), (1, 0)) > 0.1


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4), st.integers(0, 4), seeds)
def test_stacks_multiply_polynomials(layers: list[tuple[int, int]], extra: int, seed: int) -> None:
    """A stack of strided layers is one layer of filter Π p_l(x^{S_l}): its class is nested in that wider one."""
    sizes, strides = zip(*layers, strict=True)
    gaps = list(accumulate(strides[:-1], mul, initial=1))
    filters = [integers((size,), seed + i) for i, size in enumerate(sizes)]
    wide = Convolution((1, 1 + sum((k - 1) * s for k, s in zip(sizes, gaps, strict=True)) + extra), 1, 1)
    side, product, polynomial = wide.image[1], np.eye(wide.image[1]), np.ones(1)
    for taps, stride, gap in zip(filters, strides, gaps, strict=True):
        layer = Convolution((1, side), 1, len(taps), stride)
        product, (side,) = layer.csr(taps[None, None]) @ product, layer.out_spatial
        spread = np.zeros((len(taps) - 1) * gap + 1)
        spread[::gap] = taps
        polynomial = np.convolve(polynomial, spread)
    assert (polynomial[::-1] == _polymul([(taps[::-1], gap) for taps, gap in zip(filters, gaps, strict=True)])).all()
    wider = Convolution(wide.image, 1, len(polynomial), prod(strides))
    assert (wider.matrix(polynomial[None, None]) == product).all()
    found = project_conv(wider, product)
    assert (found.weight.ravel() == polynomial).all()
    assert (found.local_unshared, found.off_local) == (0, 0)


def _polymul(factors: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Product of the p(x^gap), coefficients from high to low degree, of full length."""
    length = 1 + sum((len(taps) - 1) * gap for taps, gap in factors)
    product = np.ones(1)
    for taps, gap in factors:
        product = np.polymul(
            product, [c for tap in taps for c in (tap, *[0.0] * (gap - 1))][: (len(taps) - 1) * gap + 1]
        )
    return np.pad(product, (length - len(product), 0))  # polymul drops leading zeros
