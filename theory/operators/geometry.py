"""The geometry of a convolution: shapes, dimensions, and the pixel that each tap reads at each output position."""

import math
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from theory.operators.axis import Axis


@dataclass(frozen=True)
class Geometry:
    """Fields and derived shapes of a `Convolution`, which documents them."""

    image: tuple[int, ...]
    out_channels: int
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: str | int | tuple[int | tuple[int, int], ...] = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    padding_mode: str = "zeros"

    def __post_init__(self) -> None:
        if len(self.image) not in (2, 3, 4):
            raise ValueError(f"image must be (channels, *spatial) with 1 to 3 spatial axes, got {self.image}")
        channels = (self.in_channels, self.out_channels)
        if self.groups < 1 or min(channels) < 1 or any(number % self.groups for number in channels):
            raise ValueError(f"groups must divide in_channels and out_channels, got {self.groups} and {channels}")
        for name in ("kernel", "stride", "dilation"):  # one spelling each, so that equal layers compare equal
            object.__setattr__(self, name, tuple(getattr(axis, name) for axis in self.axes))
        object.__setattr__(self, "padding", tuple((axis.before, axis.after) for axis in self.axes))

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The geometry of each spatial axis."""
        kernel, stride, dilation = (
            _per_axis(name, getattr(self, name), len(self.spatial)) for name in ("kernel", "stride", "dilation")
        )
        sides = self._sides(kernel, stride, dilation)
        each = zip(self.spatial, kernel, stride, sides, dilation, strict=True)
        return tuple(Axis(n, k, s, before, after, d, self.padding_mode) for n, k, s, (before, after), d in each)

    def _sides(self, kernel: tuple, stride: tuple, dilation: tuple) -> tuple[tuple[int, int], ...]:
        """The padding of each axis as (before, after)."""
        if not isinstance(self.padding, str):
            each = _per_axis("padding", self.padding, len(self.spatial))
            return tuple((side, side) if isinstance(side, int) else side for side in each)
        if self.padding not in ("same", "valid"):
            raise ValueError(f'padding must be integers, pairs, "same" or "valid", got {self.padding!r}')
        if self.padding == "valid":
            return ((0, 0),) * len(self.spatial)
        if any(step != 1 for step in stride):
            raise ValueError(f'padding "same" needs stride 1, got stride {self.stride}')
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)

    @property
    def spatial(self) -> tuple[int, ...]:
        """Sides of the input image."""
        return self.image[1:]

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return self.image[0]

    @property
    def out_spatial(self) -> tuple[int, ...]:
        """Sides of the output image."""
        return tuple(axis.out for axis in self.axes)

    @property
    def out_image(self) -> tuple[int, ...]:
        """Image that a next layer sees, (out_channels, *out_spatial)."""
        return (self.out_channels, *self.out_spatial)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of w, (out_channels, in_channels / groups, *kernel)."""
        return (self.out_channels, self.in_channels // self.groups, *(axis.kernel for axis in self.axes))

    @property
    def local_shape(self) -> tuple[int, ...]:
        """Shape (*out_spatial, *weight_shape) of a filter bank for each output position, as in LocallyConnected."""
        return (*self.out_spatial, *self.weight_shape)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of W, (rows, columns)."""
        return math.prod(self.out_image), math.prod(self.image)

    @property
    def local_dimension(self) -> int:
        """Dimension of LOCAL, which is the number of stored entries of `csr`; taps on zero padding do not count."""
        return math.prod(self.weight_shape[:2]) * math.prod(axis.distinct for axis in self.axes)

    @property
    def conv_dimension(self) -> int:
        """Dimension of CONV = rank(E): the filter's size, less the taps that never meet the image or always collide."""
        return math.prod(self.weight_shape[:2]) * math.prod(axis.rank for axis in self.axes)

    @cached_property
    def sources(self) -> np.ndarray:
        """Pixel of the flattened image that each tap reads, `[positions, taps]`, −1 on zero padding."""
        table = np.zeros((1, 1), dtype=np.intp)
        for axis in self.axes:
            inner = axis.sources[None, :, None, :]
            outer = table[:, None, :, None]
            joined = np.where((outer < 0) | (inner < 0), -1, outer * axis.size + inner)
            table = joined.reshape(len(table) * axis.out, -1)
        return table

    def gram(self) -> np.ndarray:
        """Integers G, `[taps, taps]`, with EᵀE = I ⊗ G, one block for each (output, input) channel pair.

        Diagonal where no taps collide: G[t, t] = number of output positions at which tap t meets the image.
        """
        return reduce(np.kron, [axis.gram for axis in self.axes])


def _per_axis(name: str, value: Any, axes: int) -> tuple:
    """One value for each axis."""
    each = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(each) != axes:
        raise ValueError(f"{name} must hold one value for each of {axes} spatial axes, got {value}")
    return each
