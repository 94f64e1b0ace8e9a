"""Logits of quantized nets, in float64 with a bound on all rounding, from uint8 images.

The same function as `QuantizedNet.forward`, written once more: sums of products in the open, whose rounding is bounded.
Features and weights are exact; normalization is all that rounds much.
"""

from collections.abc import Callable

from jaxtyping import UInt8
from torch import Tensor

from lcfs.descriptions import balls, operator_norms
from lcfs.descriptions.balls import Ball
from lcfs.nets.fixed_features import front_end
from lcfs.nets.quantized import EPSILON, QuantizedNet


def logits(net: QuantizedNet) -> Callable[[UInt8[Tensor, "b c h w"]], Ball]:
    """The function from images to logits [b, classes] of a net in evaluation mode and float64."""
    weights = {name: net.weight(name) for name in net.specification}
    used = {i for blocks in net.architecture.stages for i in blocks}
    kernels = {i: operator_norms.depthwise(net.whole_kernel(weights[f"kernel{i}"]), skip=True) for i in used}
    mixes = {i: operator_norms.matrix(weights[f"mix{i}"], None) for i in used}
    stem = operator_norms.matrix(weights["stem"], None)
    head = operator_norms.matrix(weights["head"], weights["head_bias"])

    def function(images: Tensor) -> Ball:
        x = _activate(balls.linear(Ball.exact(front_end(images)), stem), weights["stem_bias"])
        for depth, blocks in enumerate(net.architecture.stages):
            x = _halved(x) if depth else x
            for i in blocks:
                mixed = balls.linear(balls.depthwise(x, kernels[i]), mixes[i])
                x = balls.add(x, _activate(mixed, weights[f"mix{i}_bias"]))
        return balls.linear(balls.normalize(balls.mean(x, (2, 3)), EPSILON), head)

    return function


def _halved(x: Ball) -> Ball:
    """Means of 2 × 2 places."""
    rows, columns = x.center.shape[2] // 2, x.center.shape[3] // 2
    return balls.mean(x.moved(lambda t: t.unflatten(3, (columns, 2)).unflatten(2, (rows, 2))), (3, 5))


def _activate(x: Ball, bias: Tensor) -> Ball:
    """max(0, x normalized over a whole image, per image, + bias)."""
    return balls.relu(balls.shift(balls.normalize(x, EPSILON), bias[:, None, None]))
