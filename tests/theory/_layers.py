"""Integer data, and a convolution in torch; the strategy for convolutions of every kind is that of `lcfs.testing`."""

import numpy as np
import torch
from torch.nn import functional as F

from lcfs.testing import convolutions
from theory.operators import Convolution

__all__ = ["convolutions", "in_torch", "integers"]


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Whole float64 numbers in [−8, 8]: sums of less than 2^47 products of two are exact in every order."""
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(float)


def in_torch(layer: Convolution, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The layer by torch's own padding and convolution."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(x, [side for axis in reversed(layer.axes) for side in (axis.before, axis.after)], mode=mode)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(layer.spatial) - 1]
    return convolve(padded, weight, stride=layer.stride, dilation=layer.dilation, groups=layer.groups)
