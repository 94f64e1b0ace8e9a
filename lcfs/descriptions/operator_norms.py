"""Norms of linear layers, bounded from above: how far apart a layer moves two images at the most.

With Euclidean lengths, ‖Wx − Wy‖ ≤ ‖W‖ ‖x − y‖. ‖W‖² is the largest eigenvalue of the Gram matrix G, at most
‖G^p‖_F^(1/p) for every p; p = 32 overestimates it by at most n^(1/64). A zero-padded convolution is part of one on the
infinite grid, whose norm is the largest over all frequencies of the norm of its transfer matrix.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

_SQUARINGS = 5
_ROUNDING = 1 + 2.0**-24  # of everything here, for sums of up to 2^26 terms
_LARGEST_TRANSFER = 1 << 24  # entries of all transfer matrices; larger ones are bounded by the patches' norm


@dataclass(frozen=True)
class Operator:
    """A linear layer and upper bounds on norms.

    weight, bias: as the layer has them, float64; the bias may be None.
    norm: of the layer without its bias. absolute_norm: of the layer of the weights' absolute values.
    terms: products that are summed for one output.
    """

    weight: Float64[Tensor, "..."]
    bias: Float64[Tensor, "..."] | None
    norm: float
    absolute_norm: float
    terms: int


def matrix(weight: Float64[Tensor, "o n"], bias: Tensor | None) -> Operator:
    """A matrix, applied at each place of an image."""
    return Operator(weight, bias, _spectral(weight), _frobenius(weight), weight.shape[1])


def convolution(weight: Float64[Tensor, "o c *kernel"], bias: Tensor | None, stride: int) -> Operator:
    """A zero-padded convolution. With a stride it leaves outputs out, which makes no norm larger."""
    flat = weight.flatten(1)
    copies = math.sqrt(math.prod(-(-size // stride) for size in weight.shape[2:]))  # how often a pixel is in a patch
    norm = min(copies * _spectral(flat), _transfer(weight))
    return Operator(weight, bias, norm, copies * _frobenius(flat), flat.shape[1])


def local(weight: Tensor, bias: Tensor | None, axes: int, stride: int) -> Operator:
    """A locally connected layer [*positions, o, c, *kernel]: its norm is at most that of patches times any filter's."""
    filters = weight.flatten(0, axes - 1).flatten(2)
    copies = math.sqrt(math.prod(-(-size // stride) for size in weight.shape[axes + 2 :]))
    largest = float(filters.square().sum((1, 2)).max()) ** 0.5 * _ROUNDING
    return Operator(weight, bias, copies * _spectral(filters), copies * largest, filters.shape[2])


def depthwise(kernel: Float64[Tensor, "c k k"], *, skip: bool) -> Operator:
    """A zero-padded convolution of each channel with its own kernel, plus the image itself if it is skipped."""
    kernel = kernel.clone()
    if skip:
        kernel[:, kernel.shape[1] // 2, kernel.shape[2] // 2] += 1
    absolute = float(kernel.abs().sum((1, 2)).max()) * _ROUNDING
    transfer = max(_transfer(channel[None, None]) for channel in kernel)
    return Operator(kernel, None, min(absolute, transfer), absolute, kernel.shape[1] * kernel.shape[2])


def _spectral(weight: Tensor) -> float:
    """At least the largest singular value of each of the matrices [..., o, n]; NaN or infinite if an entry is."""
    wide = weight if weight.shape[-2] <= weight.shape[-1] else weight.mT
    gram = wide @ wide.mH
    size = gram.shape[-1]
    scale = torch.linalg.matrix_norm(gram).clamp_min(1e-300)
    log_norm = scale.log()
    power = gram / scale[..., None, None]  # of Frobenius norm 1, off by at most `off` in that norm
    off = (wide.shape[-1] + 4) * 2.0**-52 * torch.linalg.matrix_norm(wide).square() / scale
    for step in range(1, _SQUARINGS + 1):
        power, off = power @ power, 2 * off + off.square() + (size + 4) * 2.0**-52
        scale = torch.linalg.matrix_norm(power).clamp_min(1e-300)
        power, off = power / scale[..., None, None], off / scale + 2.0**-50
        log_norm = log_norm + scale.log() / 2**step
    bound = ((log_norm + torch.log1p(off) / 2**_SQUARINGS) / 2).exp()
    return float(torch.minimum(bound, torch.linalg.matrix_norm(wide)).max()) * _ROUNDING  # the latter for zeros


def _frobenius(weight: Tensor) -> float:
    return float(torch.linalg.vector_norm(weight)) * _ROUNDING


def _transfer(weight: Tensor) -> float:
    """At least the norm of Σ_t W_t exp(2πi ω·t) for every real frequency ω; infinite where that is much to compute.

    A trigonometric polynomial of degree m = ⌊k/2⌋ exceeds its largest value on a grid of N frequencies by a factor of
    at most 1 / cos(πm/N) an axis. Source: Ehlich and Zeller 1964.
    """
    kernel = weight.shape[2:]
    counts = [8 * size for size in kernel]
    if math.prod(counts) * weight.shape[0] * weight.shape[1] > _LARGEST_TRANSFER:
        return math.inf
    transfers, between = weight.to(torch.complex128), 1.0
    for size, count in zip(kernel, counts, strict=True):
        angles = torch.arange(count, dtype=torch.float64)[:, None] * torch.arange(size) * (2 * math.pi / count)
        transfers = torch.tensordot(transfers, torch.polar(torch.ones_like(angles), angles), ([2], [1]))
        between /= math.cos(math.pi * (size // 2) / count)
    rounding = 2.0**-44 * float(weight.abs().sum())
    matrices = transfers.flatten(2).permute(2, 0, 1)
    return (_spectral(matrices) + rounding) * between * _ROUNDING
