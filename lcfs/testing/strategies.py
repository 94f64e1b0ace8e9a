"""Hypothesis strategies: convolutions of every geometry, and layers and small nets of them with numbers filled in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import nn

from lcfs.testing import drawn_layers
from lcfs.testing.drawing import KINDS, LARGEST, SEEDS, Draw, Limits, Shape, draw_axis, draw_image, strategy
from lcfs.testing.filling import fill
from theory.operators import PADDING_MODES, Convolution


@dataclass(frozen=True)
class Case:
    """A net in evaluation mode, and the shape (channels, *spatial) of one image that it takes."""

    model: nn.Module
    image: Shape


@strategy
def convolutions(
    draw: Draw,
    *,
    dims: Sequence[int] = (1, 2, 3),
    padding_modes: Sequence[str] = PADDING_MODES,
    groups: Sequence[int] = (1, 2, 3),
    strides: Sequence[int] = (1, 2, 3),
    dilations: Sequence[int] = (1, 2, 3),
) -> Convolution:
    """Strategy for any geometry: strides, groups, dilation, uneven padding, kernels beyond the image.

    Args:
        dims, padding_modes, groups, strides, dilations: as in `conv_layers`.
    """
    limits = Limits.of(dims=dims, padding_modes=padding_modes, groups=groups, strides=strides, dilations=dilations)
    axes, mode = draw(st.sampled_from(limits.dims)), draw(st.sampled_from(limits.padding_modes))
    number = draw(st.sampled_from(limits.groups))
    channels = (number * draw(st.integers(1, 2)), number * draw(st.integers(1, 2)))
    spatial = tuple(draw(st.integers(1, LARGEST[axes - 1])) for _ in range(axes))
    each = (draw_axis(draw, limits, size, mode) for size in spatial)
    kernel, stride, before, after, dilation = zip(*each, strict=True)
    sides = tuple(zip(before, after, strict=True))
    return Convolution((channels[0], *spatial), channels[1], kernel, stride, sides, dilation, number, mode)


@strategy
def conv_layers(
    draw: Draw,
    *,
    exact: bool = False,
    dtype: torch.dtype | None = None,
    dims: Sequence[int] = (1, 2, 3),
    kinds: Sequence[str] = KINDS,
    padding_modes: Sequence[str] = PADDING_MODES,
    groups: Sequence[int] = (1, 2, 3),
    strides: Sequence[int] = (1, 2, 3),
    dilations: Sequence[int] = (1, 2, 3),
) -> Case:
    """Strategy for a net of one Conv1d/2d/3d, ConvTranspose1d/2d/3d or LocallyConnected with any of torch's options.

    A converter that does not claim to know them all is tested on those that it does: conv_layers(dims=[2],
    kinds=["conv"], padding_modes=["zeros"], groups=[1]).

    Args:
        exact: small integers in float64, so that every order of summation gives the same; else Gaussian numbers.
        dtype: of the net; if None, float64 or (unless exact) float32.
        dims: numbers of spatial axes, of 1, 2, 3.
        kinds: of "conv", "same" (a convolution with padding="same", often with more at one end), "transposed", "local".
        padding_modes: of "zeros", "circular", "reflect", "replicate"; for "conv" and "same".
        groups, strides, dilations: integers from 1 on; a layer whose channels no such number of groups divides has one
            group, as in a net behind other layers.

    Raises:
        InputError: a value that no layer has, when an example is drawn.
    """
    limits = Limits.of(
        dims=dims, kinds=kinds, padding_modes=padding_modes, groups=groups, strides=strides, dilations=dilations
    )
    image = draw_image(draw, limits, draw(st.sampled_from(_dims(limits))))
    return _case(draw, [drawn_layers.linear_layer(draw, limits, image)], image, exact, dtype)


@strategy
def conv_nets(
    draw: Draw,
    *,
    exact: bool = False,
    dtype: torch.dtype | None = None,
    dims: Sequence[int] = (1, 2, 3),
    kinds: Sequence[str] = KINDS,
    padding_modes: Sequence[str] = PADDING_MODES,
    groups: Sequence[int] = (1, 2, 3),
    strides: Sequence[int] = (1, 2, 3),
    dilations: Sequence[int] = (1, 2, 3),
    max_layers: int = 4,
) -> Case:
    """Strategy for a small net of convolutions, BatchNorm, activations, average pooling and residual sums.

    A layer may be used twice, and linear layers, with BatchNorm between them, may follow.

    Args:
        exact: as in `conv_layers`; then also BatchNorm and pooling scale by powers of two only.
        dtype, dims, kinds, padding_modes, groups, strides, dilations: as in `conv_layers`.
        max_layers: most layers, activations and linear layers not counted.
    """
    limits = Limits.of(
        dims=dims, kinds=kinds, padding_modes=padding_modes, groups=groups, strides=strides, dilations=dilations
    )
    shape = image = draw_image(draw, limits, draw(st.sampled_from(_dims(limits))))
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, max_layers))):
        kind = draw(st.sampled_from(["average", "linear", "linear", "norm", "residual", "twice"]))
        layers += [_layer(draw, limits, kind, shape, exact), drawn_layers.activation(draw, exact)]
        shape = tuple(nn.Sequential(*layers).eval()(torch.zeros(1, *image)).shape[1:])
    if draw(st.booleans()):
        layers += _head(draw, shape, exact)
    return _case(draw, layers, image, exact, dtype)


def _dims(limits: Limits) -> tuple[int, ...]:
    local = limits.kinds == ("local",)
    return tuple(n for n in limits.dims if n < 3) if local else limits.dims


def _layer(draw: Draw, limits: Limits, kind: str, shape: Shape, exact: bool) -> nn.Module:
    if kind == "norm":
        return drawn_layers.norm(draw, shape)
    if kind == "average":
        return drawn_layers.average(draw, shape, exact)
    if kind == "linear" or "conv" not in limits.kinds:
        return drawn_layers.linear_layer(draw, limits, shape)
    return drawn_layers.residual(draw, shape) if kind == "residual" else drawn_layers.twice(draw, shape)


def _head(draw: Draw, shape: Shape, exact: bool) -> list[nn.Module]:
    """One linear layer or two, with or without BatchNorm behind the first."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(math.prod(shape), 2)]
    if draw(st.booleans()):
        layers.append(drawn_layers.norm(draw, (2,)))
    if draw(st.booleans()):
        layers += [drawn_layers.activation(draw, exact), nn.Linear(2, 3)]
    return layers


def _case(draw: Draw, layers: list[nn.Module], image: Shape, exact: bool, dtype: torch.dtype | None) -> Case:
    drawn = torch.float64 if exact else draw(st.sampled_from([torch.float32, torch.float64]))
    return Case(fill(nn.Sequential(*layers).to(dtype or drawn), draw(SEEDS), exact=exact), image)
