"""A net as the graph of its calls, each with the shape that one example has after it and with what it does."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, fx, nn

from lcfs.embedding.functional import layers_from_functions
from lcfs.embedding.graph import graph_of
from lcfs.embedding.moving import BATCH
from lcfs.embedding.operations import Norm, Shape, axes_of, called, kind_of
from lcfs.errors import InputError, brief

_REMEDIES = {
    "WeightNorm": "torch.nn.utils.remove_weight_norm",
    "SpectralNorm": "torch.nn.utils.remove_spectral_norm",
    "BasePruningMethod": "torch.nn.utils.prune.remove",
}


def trace(model: nn.Module, image: Shape) -> fx.GraphModule:
    """The calls of a net in order, with what they do and to what.

    Activations have `meta["shape"]`, that of one example, and `meta["kind"]`; what holds several of them
    `meta["pieces"]`; all else, as sizes and parameters, `meta["value"]`. `meta["computed"]` marks layers whose weights
    are computed from parameters. The modules are the net's own: see `graph_of`.

    Args:
        image: shape of one example, (channels, *spatial) or (features,).

    Raises:
        InputError: a net that torch.fx cannot trace, that does not take such an image, that returns something else
            than one tensor, or with hooks; a call that is not known to embed; BatchNorm that depends on the batch.
    """
    if not image or min(image) < 1:
        raise InputError(f"image must be (channels, *spatial), each at least 1, got {image}")
    net = graph_of(model)
    modules = dict(net.named_modules())
    for node in net.graph.nodes:
        if node.op == "call_module":
            kind_of(node, modules)
            _check_module(str(node.target), modules[str(node.target)])
    _Shapes(net).run_on(image)
    layers_from_functions(net)
    modules = dict(net.named_modules())
    for node in net.graph.nodes:
        if node.op.startswith("call") and ("shape" in node.meta or "pieces" in node.meta):
            node.meta["kind"] = kind_of(node, modules)
            _check_arguments(node, modules)
    result = next(node for node in net.graph.nodes if node.op == "output").args[0]
    if not isinstance(result, fx.Node) or "shape" not in result.meta:
        raise InputError("the net returns something else than one tensor [batch, ...]; embed the part that does")
    net.recompile()
    return net


def example_parameter(net: nn.Module) -> Tensor:
    """A tensor of the net's floating type on its device, however few numbers it has; of torch's default without one."""
    return next(_floating(net), torch.empty(0))


def has_type(net: nn.Module) -> bool:
    """Whether the net has a floating-point tensor, be it one without entries."""
    return next(_floating(net), None) is not None


def _floating(net: nn.Module) -> Iterator[Tensor]:
    return (t for t in chain(net.parameters(), net.buffers()) if t.is_floating_point())


def activations(node: fx.Node) -> list[fx.Node]:
    """The activations that a call works on, those of several held together one by one."""
    inputs = []
    for each in node.all_input_nodes:
        if "shape" in each.meta:
            inputs.append(each)
        elif "pieces" in each.meta:
            inputs += activations(each)
    return inputs


def _check_module(name: str, module: nn.Module) -> None:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    if hooks:
        kinds = {base.__name__ for hook in hooks for base in type(hook).__mro__}
        remedy = next(
            (f"call {function} on it" for kind, function in _REMEDIES.items() if kind in kinds), "remove them"
        )
        raise InputError(f"{name} has forward hooks, which may change what it computes; {remedy} first")
    if isinstance(module, Norm):
        if module.running_mean is None or module.running_var is None:
            raise InputError(
                f"{name} has no running statistics and is evaluated on those of the batch, which no matrix is; train "
                "with track_running_stats=True"
            )
        if module.training:
            raise InputError(f"{name} is in training mode, where it depends on the batch; call model.eval() first")


def _check_arguments(node: fx.Node, modules: dict[str, nn.Module]) -> None:
    """Refuse what torch would take for something else than a batch of examples with channels, or line up otherwise."""
    name, where = called(node, modules), str(node.target) if node.op == "call_module" else node.name
    inputs = activations(node)
    if any(not {"shape", "pieces", "value"} & each.meta.keys() for each in node.all_input_nodes):
        raise InputError(
            f"{where} ({name}) works on what mixes the examples of a batch; only functions of one image embed"
        )
    shapes = [each.meta["shape"] for each in inputs]
    kind = node.meta["kind"]
    if kind == "elementwise" and any(len(each) != len(node.meta["shape"]) for each in shapes):
        raise InputError(f"{where} broadcasts {' with '.join(map(str, shapes))}; give them equally many axes")
    if kind not in ("elementwise", "move", "kept") and len(inputs) != 1:
        raise InputError(f"{where} ({name}) works on {len(inputs)} activations, expected one")
    axes = axes_of(name) if kind in ("linear", "average", "max") else None
    if axes is not None and len(shapes[0]) != 1 + axes:
        raise InputError(f"{where} ({name}) sees {shapes[0]}, expected {axes} axes after the channels")


class _Shapes(fx.Interpreter):
    """Runs a batch of black images through the net and notes what each call returns."""

    def run_on(self, image: Shape) -> None:
        like = example_parameter(self.module)
        x = torch.zeros(BATCH, *image, dtype=like.dtype, device=like.device)
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):  # a dropout in training mode draws numbers
                self.run(x)
        except InputError as error:  # torch.fx adds paragraphs of its own
            raise InputError(str(error).partition("\n\n")[0]) from error.__cause__

    def run_node(self, n: fx.Node) -> Any:
        try:
            value = super().run_node(n)
        except Exception as error:  # torch raises several kinds for a shape that does not fit
            raise InputError(f"{n.target} does not take what reaches it ({brief(error)}); check `image`") from error
        depends = n.op == "placeholder" or any("value" not in each.meta for each in n.all_input_nodes)
        if isinstance(value, Tensor) and depends:
            if value.ndim > 1 and value.is_floating_point() and value.shape[0] == BATCH:
                n.meta["shape"] = tuple(value.shape[1:])
        elif isinstance(value, tuple | list) and depends and all(isinstance(each, Tensor) for each in value) and value:
            n.meta["pieces"] = tuple(tuple(each.shape[1:]) for each in value)
        elif n.op != "output":
            n.meta["value"] = value
        return value
