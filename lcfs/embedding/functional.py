"""Layers that a net calls as functions, with weights of its own, as the layers they are."""

from typing import Any

import torch
from torch import Tensor, fx, nn

_CONVS: dict[str, Any] = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv3d": nn.Conv3d}
_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_NORM = ("input", "normalized_shape", "weight", "bias", "eps")


def layers_from_functions(net: fx.GraphModule) -> None:
    """Make calls of F.conv1d/2d/3d, F.linear, F.prelu and F.layer_norm with constant weights calls of layers, in place.

    Args:
        net: with `meta["value"]` on what does not depend on the image.
    """
    taken = {name for name, _ in net.named_modules()}
    for node in net.graph.nodes:
        name = getattr(node.target, "__name__", "") if node.op == "call_function" else ""
        if name not in (*_CONVS, "linear", "prelu", "layer_norm") or "shape" not in node.meta:
            continue
        source, *others = [*node.args, *node.kwargs.values()]
        if not isinstance(source, fx.Node) or any(
            isinstance(each, fx.Node) and "value" not in each.meta for each in others
        ):
            continue
        given = dict(zip(_NORM if name == "layer_norm" else _ARGUMENTS, node.args, strict=False)) | node.kwargs
        others = {key: each for key, each in given.items() if key != "input"}
        values = {key: each.meta["value"] if isinstance(each, fx.Node) else each for key, each in others.items()}
        layer = _norm(**values) if name == "layer_norm" else _layer(name, **values)
        target = node.name
        while target in taken:
            target += "_"
        taken.add(target)
        net.add_submodule(target, layer)
        node.meta["computed"] = any(
            isinstance(each, Tensor) and not isinstance(each, nn.Parameter) for each in values.values()
        )
        node.op, node.target, node.args, node.kwargs = "call_module", target, (given["input"],), {}


def _layer(name: str, weight: Tensor, bias: Tensor | None = None, **options: Any) -> nn.Module:
    """The layer of these weights, which are the net's own where they are parameters."""
    with torch.device("meta"):
        if name == "linear":
            layer: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
        elif name == "prelu":
            layer = nn.PReLU(weight.numel())
        else:
            inputs, kernel = weight.shape[1] * options.get("groups", 1), tuple(weight.shape[2:])
            layer = _CONVS[name](inputs, weight.shape[0], kernel, bias=bias is not None, **options)
    layer.weight = _parameter(weight.flatten() if name == "prelu" else weight)
    if bias is not None:
        layer.bias = _parameter(bias)
    return layer


def _norm(
    normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> nn.Module:
    layer: Any = nn.LayerNorm(list(normalized_shape), eps, elementwise_affine=False)
    layer.elementwise_affine = weight is not None
    layer.weight = None if weight is None else _parameter(weight)
    layer.bias = None if bias is None else _parameter(bias)
    return layer


def _parameter(tensor: Tensor) -> nn.Parameter:
    return tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor.detach(), tensor.requires_grad)
