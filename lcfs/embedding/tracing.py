"""A net as the graph of its calls (torch.fx), each with the shape that one example has after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import jaxtyping
import torch
from torch import Tensor, fx, nn

from lcfs.embedding.operations import Norm, Shape, axes_of, called, kind_of
from lcfs.embedding.sparse import SparseLinear
from lcfs.errors import InputError, brief
from lcfs.nets.layers import LocallyConnected

_BATCH = 2


def trace(model: nn.Module, image: Shape) -> fx.GraphModule:
    """The calls of a net in order, each activation with `meta["shape"]`, that of one example, and `meta["kind"]`.

    The modules are the net's own, not copies.

    Args:
        image: shape of one example, (channels, *spatial) or (features,).

    Raises:
        InputError: a net that torch.fx cannot trace, that does not take such an image, that returns something else
            than one tensor, or with hooks; a call that is not known to embed; BatchNorm that depends on the batch.
    """
    if not image or min(image) < 1:
        raise InputError(f"image must be (channels, *spatial), each at least 1, got {image}")
    net = _traced(as_net(model))
    modules = dict(net.named_modules())
    calls = [node for node in net.graph.nodes if node.op.startswith("call")]
    for node in calls:
        if node.op == "call_module":
            kind_of(node, modules)
            _check_module(str(node.target), modules[str(node.target)])
    _Shapes(net).run_on(image)
    for node in calls:
        if "shape" in node.meta:  # the others compute sizes
            node.meta["kind"] = kind_of(node, modules)
            _check_arguments(node, modules)
    result = next(node for node in net.graph.nodes if node.op == "output").args[0]
    if not isinstance(result, fx.Node) or "shape" not in result.meta:
        raise InputError("the net returns something else than one tensor [batch, ...]; embed the part that does")
    return net


def as_net(model: nn.Module) -> nn.Module:
    """The net itself; a net of one layer called "0" around a single layer."""
    return nn.Sequential(model) if _Tracer().is_leaf_module(model, "") else model


def example_parameter(net: nn.Module) -> Tensor:
    """A tensor of the net's floating type on its device."""
    return next((t for t in chain(net.parameters(), net.buffers()) if t.is_floating_point()), torch.empty(0))


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in (LocallyConnected, SparseLinear) or super().is_leaf_module(m, module_qualified_name)


def _traced(model: nn.Module) -> fx.GraphModule:
    try:
        with _no_shape_checks():
            graph = _Tracer().trace(model)
    except Exception as error:  # the net's own code runs on symbols here and may fail in any way
        raise InputError(
            f"{type(model).__name__} cannot be traced by torch.fx ({brief(error)}); write its forward without branches "
            "and loops over tensors or their sizes"
        ) from error
    inputs = [node.name for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise InputError(f"{type(model).__name__} takes {', '.join(inputs)}; only nets of one image embed")
    return fx.GraphModule(model, graph)


@contextmanager
def _no_shape_checks() -> Iterator[None]:
    """Where jaxtyping enforces its annotations, the symbols of torch.fx would not pass for tensors."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def _check_module(name: str, module: nn.Module) -> None:
    if module._forward_hooks or module._forward_pre_hooks:
        raise InputError(f"{name} has forward hooks, which may change what it computes; remove them first")
    if isinstance(module, Norm):
        if module.running_mean is None or module.running_var is None:
            raise InputError(
                f"{name} has no running statistics and is evaluated on those of the batch, which no matrix is; train "
                "with track_running_stats=True"
            )
        if module.training:
            raise InputError(f"{name} is in training mode, where it depends on the batch; call model.eval() first")


def _check_arguments(node: fx.Node, modules: dict[str, nn.Module]) -> None:
    """Refuse what torch would broadcast, or take for something else than a batch of examples with channels."""
    kind, shape, inputs = node.meta["kind"], node.meta["shape"], node.all_input_nodes
    if kind == "reshape":  # its other arguments are sizes
        return
    if any("shape" not in each.meta for each in inputs):
        raise InputError(f"{node.name} reads a tensor that is no activation of the net; put parameters into modules")
    shapes = [each.meta["shape"] for each in inputs]
    if kind == "elementwise" and any(each != shape for each in shapes):
        raise InputError(f"{node.name} broadcasts {' with '.join(map(str, shapes))}; only equal shapes embed")
    name = called(node, modules)
    axes = axes_of(name) if kind in ("linear", "average") else None
    if axes is not None and len(shapes[0]) != 1 + axes:
        raise InputError(f"{node.name} ({name}) sees {shapes[0]}, expected {axes} axes after the channels")


class _Shapes(fx.Interpreter):
    """Runs a batch of black images through the net and notes the shapes."""

    def run_on(self, image: Shape) -> None:
        like = example_parameter(self.module)
        self._dtype = like.dtype
        with torch.no_grad(), torch.random.fork_rng(devices=[]):  # a dropout in training mode draws numbers
            self.run(torch.zeros(_BATCH, *image, dtype=like.dtype, device=like.device))

    def run_node(self, n: fx.Node) -> Any:
        try:
            value = super().run_node(n)
        except Exception as error:  # torch raises several kinds for a shape that does not fit
            raise InputError(f"{n.target} does not take what reaches it ({brief(error)}); check `image`") from error
        activation = isinstance(value, Tensor) and value.ndim > 1 and value.dtype == self._dtype
        if activation and n.op != "get_attr" and value.shape[0] == _BATCH:
            n.meta["shape"] = tuple(value.shape[1:])
        return value
