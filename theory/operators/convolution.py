"""Convolution: a layer of 1, 2 or 3 spatial dimensions as the linear operator E, vec(W) = E w, by index arithmetic."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from theory.operators.geometry import Geometry
from theory.operators.pattern import Pattern


class Entries(NamedTuple):
    """The ones of E: tap `taps[i]` of vec(w) stands at W[rows[i], columns[i]]. Places repeat where taps collide."""

    rows: np.ndarray
    columns: np.ndarray
    taps: np.ndarray


@dataclass(frozen=True)
class Convolution(Geometry):
    """A convolution with the conventions of torch (cross-correlation, no bias), known by the image it sees.

    W is `[out_channels · positions, in_channels · pixels]`, channel-major and row-major as `torch.Tensor.flatten`; the
    filter bank w is `[out_channels, in_channels / groups, *kernel]`. Stride, padding and dilation are stored per axis,
    padding as pairs (before, after).

    Args:
        image: (channels, *spatial) of the input, with 1, 2 or 3 spatial axes.
        out_channels: ≥ 1, a multiple of `groups` as is image[0].
        kernel, stride, dilation: one integer for all axes, or one for each.
        padding: one integer, one integer or pair (before, after) for each axis, "valid", or "same" (stride 1 only; an
            odd total pads one more at the end).
        groups: in_channels for a depthwise layer.
        padding_mode: "zeros", "circular", "reflect" or "replicate".

    Raises:
        ValueError: whatever torch refuses: see `Axis`; a wrong number of axes; channels that `groups` does not divide.
    Source: torch.nn.Conv2d.

    >>> Convolution((3, 32, 32), 150, 9, stride=2, padding=4).shape
    (38400, 3072)
    """

    @cached_property
    def pattern(self) -> Pattern:
        """The non-zeros of one output channel in CSR order."""
        return Pattern.of(self.sources, self.in_channels // self.groups, math.prod(self.spatial))

    def columns(self, within_group: np.ndarray) -> np.ndarray:
        """`[n]` columns of a group's block → `[out_channels, n]` columns of W."""
        width = self.shape[1] // self.groups
        offsets = np.arange(self.groups, dtype=within_group.dtype) * width
        return offsets.repeat(self.out_channels // self.groups)[:, None] + within_group

    def entries(self) -> Entries:
        """The ones of E as index arrays, `local_dimension` of them or more where taps collide."""
        one, output = self.pattern, np.arange(self.out_channels)[:, None]
        rows = output * len(self.sources) + one.position
        return Entries(rows.ravel(), self.columns(one.column).ravel(), (output * one.filter_size + one.tap).ravel())

    def csr(self, weight: np.ndarray) -> sparse.csr_array:
        """Sparse matrix W = E w of the dtype of `weight`, `local_dimension` stored entries in sorted order.

        Raises:
            ValueError: `weight` has not the shape `weight_shape`.
        """
        filters = _shaped("weight", weight, self.weight_shape).reshape(self.out_channels, -1)
        return self.from_slots(self.pattern.collect(np.take(filters, self.pattern.tap, axis=1)))

    embed = csr  # W = E w, as the mathematics writes it

    def from_local(self, local: np.ndarray) -> sparse.csr_array:
        """The matrix of a LOCAL layer with a filter bank `local` of shape `local_shape`; colliding taps are summed.

        Raises:
            ValueError: `local` has not the shape `local_shape`.
        """
        filters = _shaped("local", local, self.local_shape).reshape(len(self.sources), self.out_channels, -1)
        return self.from_slots(self.pattern.collect(filters[self.pattern.position, :, self.pattern.tap].T))

    def from_slots(self, slots: np.ndarray) -> sparse.csr_array:
        """Matrix W from `[out_channels, slots]` numbers on LOCAL, in the order of `csr`: the adjoint of `sample`."""
        one = self.pattern
        index = np.int32 if max(slots.size, *self.shape) < 2**31 else np.int64
        lengths = np.bincount(one.position[one.starts], minlength=len(self.sources))
        pointers = np.concatenate([[0], np.cumsum(np.tile(lengths, self.out_channels))]).astype(index)
        columns = self.columns(one.column[one.starts].astype(index))
        return sparse.csr_array((slots.ravel(), columns.ravel(), pointers), shape=self.shape)

    def matrix(self, weight: np.ndarray, limit_bytes: int = 2**30) -> np.ndarray:
        """Dense matrix W = E w.

        Raises:
            ValueError: W would take more than `limit_bytes` (1 GiB unless said otherwise).
        """
        needed = math.prod(self.shape) * np.asarray(weight).itemsize
        if needed > limit_bytes:
            raise ValueError(
                f"a dense {self.shape[0]:,} × {self.shape[1]:,} matrix takes {needed:,} bytes, over the limit of "
                f"{limit_bytes:,}: use csr() or apply(), or raise limit_bytes"
            )
        return self.csr(weight).toarray()

    def sample(self, matrix: Any) -> np.ndarray:
        """`[out_channels, slots]` entries of a dense or sparse W where LOCAL has its non-zeros, in the order of `csr`.

        Raises:
            ValueError: `matrix` has not the shape `shape`.
        """
        one = self.pattern
        position, column = one.position[one.starts], one.column[one.starts]
        if sparse.issparse(matrix):
            matrix = sparse.csr_matrix(_shaped("matrix", matrix, self.shape))
            rows = np.arange(self.out_channels)[:, None] * len(self.sources) + position
            if not rows.size:  # scipy answers an empty index with another shape
                return np.zeros(rows.shape, dtype=matrix.dtype)
            return np.asarray(matrix[rows.ravel(), self.columns(column).ravel()]).reshape(rows.shape)
        blocks = _shaped("matrix", matrix, self.shape).reshape(
            self.groups, -1, len(self.sources), self.groups, self.shape[1] // self.groups
        )
        group, output = np.arange(self.groups)[:, None, None], np.arange(blocks.shape[1])[None, :, None]
        return blocks[group, output, position, group, column].reshape(self.out_channels, -1)

    def to_local(self, matrix: Any) -> np.ndarray:
        """The filter bank of each position, `local_shape`, of a dense or sparse W; what is off LOCAL is left out.

        Taps on zero padding are 0. Colliding taps share their entry equally, the smallest such filters, so that
        `from_local(to_local(W))` is W on LOCAL.
        """
        one, slots = self.pattern, self.sample(matrix)
        if one.collides:
            slots = slots / np.bincount(one.slot)
        local = np.zeros((len(self.sources), self.out_channels, one.filter_size), dtype=slots.dtype)
        local[one.position, :, one.tap] = slots[:, one.slot].T
        return local.reshape(self.local_shape)

    def gradient(self, matrix: Any) -> np.ndarray:
        """Gradient ∇_w L = Eᵀ ∇_W L of shape `weight_shape` in float64, from a dense or sparse ∇_W L.

        The orthogonally projected gradient of an FC layer is E (EᵀE)⁻¹ ∇_w L instead: see `project_conv`.
        """
        return (self.sample(matrix).astype(np.float64) @ self.pattern.incidence).reshape(self.weight_shape)

    def apply(self, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Product W x without W: `[batch, *image]` → `[batch, *out_image]`."""
        filters, x = self._grouped(weight), _shaped("x", x, (len(x), *self.image))
        pixels = x.reshape(len(x), self.groups, -1, math.prod(self.spatial))
        pixels = np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=-1)  # index −1 reads this zero
        patches = pixels[..., self.sources.T].reshape(len(x), self.groups, -1, len(self.sources))
        return (filters @ patches).reshape(len(x), *self.out_image)

    def adjoint(self, weight: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Wᵀ y without W: `[batch, *out_image]` → `[batch, *image]`; this is torch's transposed convolution."""
        filters, y = self._grouped(weight), _shaped("y", y, (len(y), *self.out_image))
        outputs = y.reshape(len(y), self.groups, -1, len(self.sources))
        patches = (filters.swapaxes(1, 2) @ outputs).reshape(len(y) * self.in_channels, -1)
        return (patches @ self._scatter).reshape(len(y), *self.image)

    def _grouped(self, weight: np.ndarray) -> np.ndarray:
        """w as `[groups, outputs of a group, filter_size]`."""
        shaped = _shaped("weight", weight, self.weight_shape)
        return shaped.reshape(self.groups, self.out_channels // self.groups, -1)

    @cached_property
    def _scatter(self) -> sparse.csr_array:
        """`[taps · positions, pixels]` zeros and ones: where each entry of a patch came from."""
        pixel = self.sources.T.ravel()
        (row,) = np.nonzero(pixel >= 0)
        shape = (len(pixel), math.prod(self.spatial))
        return sparse.csr_array((np.ones(len(row), dtype=np.int8), (row, pixel[row])), shape=shape)


def _shaped(name: str, array: Any, shape: tuple[int, ...]) -> Any:
    """The array, dense unless sparse, if it has this shape."""
    array = array if sparse.issparse(array) else np.asarray(array)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, got {array.shape}")
    return array
