"""Logits of folded nets of `lcfs.build`, in float64 with a bound on all rounding: layer by layer, without torch's own.

Each layer is computed as a plain sum of products, so that no algorithm of a library (Winograd, FFT) escapes the bound.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from lcfs.descriptions import balls, operator_norms
from lcfs.descriptions.balls import Ball
from lcfs.nets.layers import LocallyConnected
from lcfs.nets.resnet import BasicBlock, ResNet18

Map = Callable[[Ball], Ball]


def logits(net: nn.Module) -> Map:
    """The function [b, *image] → [b, classes] of a net in float64: of linear layers, ReLU, reshapes, ResNet18's blocks.

    Raises: TypeError for a layer of which no rounding is known, BatchNorm among them.
    """
    match net:
        case nn.Sequential():
            return _chain([logits(layer) for layer in net])
        case nn.ReLU():
            return balls.relu
        case nn.Flatten() | nn.Unflatten():
            return lambda x: x.moved(net)
        case nn.Identity() | nn.Dropout():
            return lambda x: x
        case nn.Linear():
            return partial(balls.linear, operator=operator_norms.matrix(net.weight, net.bias))
        case nn.Conv1d() | nn.Conv2d():
            stride, padding = _one(net.stride), _one(net.padding)
            operator = operator_norms.convolution(net.weight, net.bias, stride)
            return partial(balls.convolution, operator=operator, stride=stride, padding=padding)
        case LocallyConnected():
            operator = operator_norms.local(net.weight, net.bias, net.weight.ndim // 2 - 1, net.stride)
            return partial(balls.local, operator=operator, stride=net.stride, padding=net.padding)
        case BasicBlock():
            convolutions = _chain([logits(net.conv1), balls.relu, logits(net.conv2)])
            shortcut = logits(net.shortcut)
            return lambda x: balls.relu(balls.add(convolutions(x), shortcut(x)))
        case ResNet18():
            pool = partial(balls.mean, dims=(2, 3))
            return _chain([logits(net.conv1), balls.relu, logits(net.blocks), pool, logits(net.fc)])
    raise TypeError(f"no bound on the rounding of a {type(net).__name__} is known")


def _chain(maps: list[Map]) -> Map:
    """One map after the other."""

    def composed(x: Ball) -> Ball:
        for one in maps:
            x = one(x)
        return x

    return composed


def _one(sizes: tuple[int, ...] | str) -> int:
    """The size that all axes have."""
    if isinstance(sizes, str) or len(set(sizes)) != 1:
        raise TypeError(f"a convolution must have one stride and one padding on all axes, got {sizes}")
    return sizes[0]
