"""Arithmetic that knows how far rounding may have led it: values in float64, and for each image the radius of a ball.

If the exact numbers of an image lie within the radius of the computed ones, in Euclidean distance over all its
channels and places, so do those of every operation's result, in whatever order a library adds. With u = 2^−53 and
γ_n = nu / (1 − nu), a sum of n products is off by at most γ_n Σ|w||x|, and an operator moves two numbers apart by at
most its norm. Radii are computed in floating point too, from non-negative terms alone, and enlarged by 1 + 2^−20, more
than their own rounding for sums of up to 2^28 terms. Overflow leads to infinite or NaN radii.
Source: Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import functional as F

from lcfs.descriptions.operator_norms import Operator

ENLARGED = 1 + 2.0**-20
_UNIT = 2.0**-53
_LEAST = 2.0**-800  # above what underflows lose, also where a machine flushes subnormal numbers to zero
_MOST_TERMS = 1 << 28
_PIECE = 1 << 22  # entries of the patches of a convolution that are laid out at once, 32 MB


@dataclass(frozen=True)
class Ball:
    """Computed values of some images, and how far the exact values of each image may be from them, or NaN."""

    center: Float64[Tensor, "b ..."]
    radius: Float64[Tensor, " b"]

    @staticmethod
    def exact(values: Tensor) -> "Ball":
        """Numbers that float64 holds."""
        return Ball(values.double(), torch.zeros(len(values), dtype=torch.float64))

    def moved(self, move: Callable[[Tensor], Tensor]) -> "Ball":
        """The same numbers of each image at other places: a reshape or a permutation."""
        return Ball(move(self.center), self.radius)

    def lengths(self) -> Float64[Tensor, " b"]:
        """Euclidean length of the computed values of each image."""
        return torch.linalg.vector_norm(self.center.flatten(1), dim=1)


def relu(x: Ball) -> Ball:
    """max(0, x), which moves no two numbers apart."""
    return Ball(x.center.clamp_min(0), x.radius)


def add(x: Ball, y: Ball) -> Ball:
    """x + y of each image."""
    total = Ball(x.center + y.center, x.radius + y.radius)
    return _grown(total, _UNIT * total.lengths())


def shift(x: Ball, constant: Tensor) -> Ball:
    """x + constant, the same exact numbers for each image."""
    total = Ball(x.center + constant, x.radius)
    return _grown(total, _UNIT * total.lengths())


def mean(x: Ball, dims: tuple[int, ...]) -> Ball:
    """The mean over axes, of norm 1/√terms."""
    root = math.sqrt(math.prod(x.center.shape[dim] for dim in dims))
    radius = (x.radius + _gamma(_added(x.center, dims)) * x.lengths()) / root
    return _grown(Ball(_mean(x.center, dims).squeeze(dims), radius), 0.0)


def linear(x: Ball, operator: Operator) -> Ball:
    """[b, n, ...] → [b, o, ...] by a matrix on the first axis of each image, plus its bias."""
    weight, sides = operator.weight.flatten(1), x.center.shape[2:]
    flat = weight @ x.center.flatten(2) if sides else x.center @ weight.t()
    center = flat.unflatten(2, sides) if len(sides) > 1 else flat
    return _applied(x, center, operator, (-1, *[1] * len(sides)))


def convolution(x: Ball, operator: Operator, stride: int, padding: int) -> Ball:
    """[b, c, *grid] → [b, o, *positions] by weight [o, c, *kernel], zero-padded: one matrix product over patches."""
    kernel = operator.weight.shape[2:]
    rows = operator.weight.flatten(1)
    products = []
    for part in _pieces(x.center, kernel, stride, padding):
        patches, positions = _patches(part, kernel, stride, padding)
        products.append((rows @ patches.flatten(1, 2)).unflatten(2, positions))
    return _applied(x, torch.cat(products), operator, (-1, *[1] * len(kernel)))


def local(x: Ball, operator: Operator, stride: int, padding: int) -> Ball:
    """[b, c, *grid] → [b, o, *positions] by weight [*positions, o, c, *kernel], another filter at each position."""
    axes = x.center.ndim - 2
    kernel = operator.weight.shape[axes + 2 :]
    filters = operator.weight.flatten(0, axes - 1).flatten(2)  # [positions, o, taps]
    products = []
    for part in _pieces(x.center, kernel, stride, padding):
        patches, positions = _patches(part, kernel, stride, padding)
        products.append((filters @ patches.permute(3, 1, 2, 0).flatten(1, 2)).permute(2, 1, 0).unflatten(2, positions))
    return _applied(x, torch.cat(products), operator, None)


def depthwise(x: Ball, operator: Operator) -> Ball:
    """[b, c, h, w] → the same, each channel with its own kernel [c, k, k], k odd, zero-padded: tap after tap."""
    size = operator.weight.shape[-1]
    height, width = x.center.shape[2:]
    padded = F.pad(x.center, (size // 2,) * 4)
    center = torch.zeros_like(x.center)
    for tap, weight in enumerate(operator.weight.flatten(1).unbind(1)):
        row, column = divmod(tap, size)
        center.addcmul_(weight[:, None, None], padded[:, :, row : row + height, column : column + width])
    return _applied(x, center, operator, None)


def normalize(x: Ball, epsilon: float) -> Ball:
    """(x − mean) / √(variance + epsilon) over all values of an image, the variance without Bessel's correction.

    With d = x − mean and σ = √(mean d² + ε), the map d ↦ d/σ has a derivative of norm at most 1/σ, and σ changes by at
    most the distance divided by √n: so two images at the distance r end up at most r / (σ − r/√n) apart.
    """
    dims = tuple(range(1, x.center.ndim))
    gamma, root = _gamma(_added(x.center, dims) + 6), math.sqrt(x.center[0].numel())
    d = x.center - _mean(x.center, dims)
    sigma = (_mean(d.square(), dims) + epsilon).sqrt()
    radius = (x.radius + gamma * x.lengths()) * ENLARGED + _LEAST  # also of d, whose mean and difference are rounded
    sigmas = sigma.flatten()
    off_sigma = radius / root + gamma * sigmas
    least_sigma = torch.where(off_sigma <= sigmas / 2, sigmas - off_sigma, torch.nan)
    return _grown(Ball(d / sigma, radius / least_sigma), 2 * gamma * root)  # the length of d/σ is at most √n


def _mean(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The mean, kept as axes of size 1, summed axis by axis: each entry is in fewer additions than in one long sum."""
    for dim in dims:
        x = x.mean(dim, keepdim=True)
    return x


def _added(x: Tensor, dims: tuple[int, ...]) -> int:
    """Roundings of an entry in `_mean`, and two to spare."""
    return sum(x.shape[dim] + 1 for dim in dims) + 2


def _applied(x: Ball, product: Tensor, operator: Operator, bias_shape: tuple[int, ...] | None) -> Ball:
    """What an operator makes of x, given the product as computed."""
    gamma = _gamma(operator.terms + 3)
    local_error = gamma * operator.absolute_norm * x.lengths()
    radius = operator.norm * x.radius + local_error
    if operator.bias is not None:
        bias = operator.bias if bias_shape is None else operator.bias.view(bias_shape)
        product = product + bias
        radius = radius + gamma * torch.linalg.vector_norm(bias.expand(product.shape[1:]))
    return _grown(Ball(product, radius), 0.0)


def _grown(ball: Ball, more: Tensor | float) -> Ball:
    return Ball(ball.center, (ball.radius + more) * ENLARGED + _LEAST)


def _gamma(terms: int) -> float:
    """nu / (1 − nu) for n terms. Raises ValueError for more than the enlargement of radii covers."""
    if terms > _MOST_TERMS:
        raise ValueError(f"rounding is bounded for sums of at most {_MOST_TERMS:,} terms, got {terms:,}")
    return terms * _UNIT / (1 - terms * _UNIT) * ENLARGED


def _patches(x: Tensor, kernel: tuple[int, ...], stride: int, padding: int) -> tuple[Tensor, tuple[int, ...]]:
    """([b, c, taps, positions], shape of the positions)."""
    axes = len(kernel)
    windows = F.pad(x, (padding,) * 2 * axes)
    for axis, size in enumerate(kernel):
        windows = windows.unfold(axis + 2, size, stride)
    positions = tuple(windows.shape[2 : 2 + axes])
    taps_first = (0, 1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes))
    return windows.permute(taps_first).flatten(2 + axes).flatten(2, 1 + axes), positions


def _pieces(x: Tensor, kernel: tuple[int, ...], stride: int, padding: int) -> tuple[Tensor, ...]:
    """Parts of a batch whose patches fit `_PIECE` entries, at least one image each."""
    patch = x.shape[1]
    for side, size in zip(x.shape[2:], kernel, strict=True):
        patch *= size * ((side + 2 * padding - size) // stride + 1)
    return x.split(max(_PIECE // max(patch, 1), 1))
