"""Hypothesis strategies for small convolutions of every kind, integer data, and the same layer in torch."""

import random

import numpy as np
import torch
from hypothesis import strategies as st
from torch.nn import functional as F

from theory.operators import PADDING_MODES, Convolution


@st.composite
def convolutions(draw: st.DrawFn, modes: tuple[str, ...] = PADDING_MODES, max_dims: int = 3) -> Convolution:
    """Any geometry that torch allows: 1–3 dimensions, groups, uneven padding, kernels larger than the image."""
    dims, mode, groups = draw(st.integers(1, max_dims)), draw(st.sampled_from(modes)), draw(st.integers(1, 3))
    channels = (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2)))
    largest = (9, 5, 3)[dims - 1]
    spatial, kernel, stride, sides, dilation = [], [], [], [], []
    for _ in range(dims):
        size = draw(st.integers(1, largest))
        limit = {"reflect": size - 1, "circular": size}.get(mode, 3)
        before, after = draw(st.integers(0, min(limit, 3))), draw(st.integers(0, min(limit, 3)))
        spread = draw(st.integers(1, 3))
        fits = (size + before + after - 1) // spread + 1
        spatial.append(size)
        kernel.append(draw(st.integers(1, min(fits, 5))))
        stride.append(draw(st.integers(1, 3)))
        sides.append((before, after))
        dilation.append(spread)
    image, per_axis = (channels[0], *spatial), (tuple(kernel), tuple(stride), tuple(sides), tuple(dilation))
    state = random.getstate()  # beartype draws the items it checks, which Hypothesis forbids in a strategy
    layer = Convolution(image, channels[1], *per_axis, groups, mode)
    random.setstate(state)
    return layer


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Whole float64 numbers in [−8, 8]: sums of less than 2^47 products of two are exact in every order."""
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(float)


def in_torch(layer: Convolution, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The layer by torch's own padding and convolution."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(x, [side for axis in reversed(layer.axes) for side in (axis.before, axis.after)], mode=mode)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(layer.spatial) - 1]
    return convolve(padded, weight, stride=layer.stride, dilation=layer.dilation, groups=layer.groups)
