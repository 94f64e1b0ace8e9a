"""Hypothesis strategies: convolutions of every geometry, and layers and small nets of them with numbers filled in."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from lcfs.nets.layers import LocallyConnected
from lcfs.testing.filling import fill
from theory.operators import PADDING_MODES, Convolution

_P = ParamSpec("_P")
_T = TypeVar("_T")
Shape = tuple[int, ...]
Draw = Callable[..., Any]  # Hypothesis' own DrawFn is a protocol that type checkers cannot check at run time
_LARGEST = (9, 5, 3)  # side of an image of 1, 2 and 3 axes
_SEEDS = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Case:
    """A net in evaluation mode, and the shape (channels, *spatial) of one image that it takes."""

    model: nn.Module
    image: Shape


def _strategy(body: Callable[Concatenate[Draw, _P], _T]) -> Callable[_P, st.SearchStrategy[_T]]:
    """st.composite that hides random numbers: torch initializes layers with some, beartype checks types at random."""

    @wraps(body)
    def guarded(draw: Draw, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        state = random.getstate()
        try:
            with torch.random.fork_rng(devices=[]):
                return body(draw, *args, **kwargs)
        finally:
            random.setstate(state)

    return st.composite(guarded)


@_strategy
def convolutions(draw: Draw, modes: tuple[str, ...] = PADDING_MODES, max_dims: int = 3) -> Convolution:
    """Any geometry of up to `max_dims` axes: strides, groups, dilation, uneven padding, kernels beyond the image."""
    dims, mode = draw(st.integers(1, max_dims)), draw(st.sampled_from(modes))
    groups = draw(st.integers(1, 3))
    channels = (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2)))
    spatial = tuple(draw(st.integers(1, _LARGEST[dims - 1])) for _ in range(dims))
    kernel, stride, before, after, dilation = zip(*(_axis(draw, size, mode) for size in spatial), strict=True)
    sides = tuple(zip(before, after, strict=True))
    return Convolution((channels[0], *spatial), channels[1], kernel, stride, sides, dilation, groups, mode)


@_strategy
def conv_layers(draw: Draw, *, exact: bool = False, max_dims: int = 3) -> Case:
    """A net of one Conv1d/2d/3d, ConvTranspose1d/2d/3d or LocallyConnected with any of torch's options.

    Args:
        exact: small integers in float64, so that every order of summation gives the same; else Gaussian numbers in
            float32 or float64.
        max_dims: most spatial axes, 1 to 3.
    """
    image = _image(draw, max_dims)
    return _case(draw, [draw(st.sampled_from(_linear_layers(image)))(draw, image)], image, exact)


@_strategy
def conv_nets(draw: Draw, *, exact: bool = False, max_dims: int = 3, max_layers: int = 4) -> Case:
    """A small net of convolutions, BatchNorm, activations, average pooling, residual sums, and perhaps a linear layer.

    Args:
        exact: as in `conv_layers`; then also BatchNorm and pooling scale by powers of two only.
        max_dims: most spatial axes, 1 to 3.
        max_layers: most layers, activations and the linear layer not counted.
    """
    shape = image = _image(draw, max_dims)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, max_layers))):
        kinds = [*_linear_layers(shape), _norm, _residual, *([_average] if min(shape[1:]) > 1 else [])]
        layers += [draw(st.sampled_from(kinds))(draw, shape), _activation(draw, exact)]
        shape = tuple(nn.Sequential(*layers).eval()(torch.zeros(1, *image)).shape[1:])
    if draw(st.booleans()):
        layers += [nn.Flatten(), nn.Linear(math.prod(shape), 2)]
    return _case(draw, layers, image, exact)


class _Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def _case(draw: Draw, layers: list[nn.Module], image: Shape, exact: bool) -> Case:
    dtype = torch.float64 if exact else draw(st.sampled_from([torch.float32, torch.float64]))
    return Case(fill(nn.Sequential(*layers).to(dtype), draw(_SEEDS), exact=exact), image)


def _image(draw: Draw, max_dims: int) -> Shape:
    dims = draw(st.integers(1, max_dims))
    return (draw(st.integers(1, 3)), *(draw(st.integers(1, _LARGEST[dims - 1])) for _ in range(dims)))


def _axis(draw: Draw, size: int, mode: str, even: bool = False) -> tuple[int, int, int, int, int]:
    """(kernel, stride, before, after, dilation) that fit an axis of this size."""
    widest = min(3, {"reflect": size - 1, "circular": size}.get(mode, 3))
    before = draw(st.integers(0, widest))
    after = before if even else draw(st.integers(0, widest))
    dilation = draw(st.integers(1, 3))
    fits = (size + before + after - 1) // dilation + 1
    return draw(st.integers(1, min(fits, 5))), draw(st.integers(1, 3)), before, after, dilation


def _linear_layers(image: Shape) -> list[Any]:
    return [_convolution, _transposed, *([_local] if len(image) == 3 else [])]


def _convolution(draw: Draw, image: Shape) -> nn.Module:
    mode = draw(st.sampled_from(PADDING_MODES))
    axes = (_axis(draw, size, mode, even=True) for size in image[1:])
    kernel, stride, padding, _, dilation = zip(*axes, strict=True)
    groups = draw(st.sampled_from([n for n in (1, 2, 3) if image[0] % n == 0]))
    outputs, bias = groups * draw(st.integers(1, 2)), draw(st.booleans())
    layer: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(image) - 2]
    return layer(image[0], outputs, kernel, stride, padding, dilation, groups, bias, mode)


def _transposed(draw: Draw, image: Shape) -> nn.Module:
    dims = len(image) - 1

    def each(low: int, high: int) -> Shape:
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    kernel, stride, dilation = each(1, 3), each(1, 3), each(1, 2)
    reach = tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    padding = tuple(draw(st.integers(0, r // 2)) for r in reach)  # as much as leaves an output
    extra = tuple(draw(st.integers(0, s - 1)) for s in stride)
    groups = draw(st.sampled_from([n for n in (1, 2, 3) if image[0] % n == 0]))
    layer: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
    return layer(image[0], groups, kernel, stride, padding, extra, groups, draw(st.booleans()), dilation)


def _local(draw: Draw, image: Shape) -> nn.Module:
    padding = draw(st.integers(0, 2))
    kernel = draw(st.integers(1, min(3, min(image[1:]) + 2 * padding)))
    options = {"stride": draw(st.integers(1, 2)), "padding": padding, "bias": draw(st.booleans())}
    return LocallyConnected(image[0], 2, (image[1], image[2]), kernel, **options)


def _norm(draw: Draw, image: Shape) -> nn.Module:
    return (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[len(image) - 2](image[0], affine=draw(st.booleans()))


def _residual(draw: Draw, image: Shape) -> nn.Module:
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(image) - 2]
    return _Residual(layer(image[0], image[0], 3, padding="same", bias=draw(st.booleans())))


def _average(draw: Draw, image: Shape) -> nn.Module:
    """Windows of 2: their averages round nothing that integers of a moderate size do not."""
    if len(image) > 2 and draw(st.booleans()):
        return (nn.AvgPool2d, nn.AvgPool3d)[len(image) - 3](2, draw(st.integers(1, 2)), ceil_mode=False)
    return (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[len(image) - 2](2, padding=draw(st.integers(0, 1)))


def _activation(draw: Draw, exact: bool) -> nn.Module:
    linear = [nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.5), nn.Hardtanh(-100.0, 100.0)]
    return draw(st.sampled_from(linear if exact else [*linear, nn.GELU(), nn.SiLU(), nn.Tanh(), nn.Softplus()]))
