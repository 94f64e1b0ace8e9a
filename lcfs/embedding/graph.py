"""A net as the graph of its calls, by torch.fx: one input, and layers whose weights are plain tensors."""

import copy
import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jaxtyping
from torch import fx, nn
from torch.nn.utils import parametrize

from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.units import AnyType, MaxOf, Rearrange
from lcfs.errors import InputError, brief
from lcfs.nets.layers import LocallyConnected

_LEAVES = (LocallyConnected, SparseLinear, Rearrange, MaxOf, AnyType)


def as_net(model: nn.Module) -> nn.Module:
    """The net itself; a net of one layer called "0" around a single layer."""
    return nn.Sequential(model) if _Tracer().is_leaf_module(model, "") else model


def graph_of(model: nn.Module) -> fx.GraphModule:
    """The calls of a net on its first argument, the others at their defaults.

    Modules are the net's own, but for parametrized ones (weight_norm, spectral_norm, pruning by parametrizations), for
    which stand plain ones with the weights that they have in evaluation mode.

    Raises:
        InputError: a net that torch.fx cannot trace, or that needs several arguments.
    """
    net = as_net(model)
    _, *others = inspect.signature(net.forward).parameters.values()
    defaults = {each.name: each.default for each in others if each.default is not each.empty}
    try:
        with _no_shape_checks(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Was not able to add assertion")
            graph = _Tracer().trace(net, concrete_args=defaults or None)
    except Exception as error:  # the net's own code runs on symbols here and may fail in any way
        raise InputError(
            f"{type(net).__name__} cannot be traced by torch.fx ({brief(error)}); write its forward without branches "
            "and loops over tensors or their sizes"
        ) from error
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    for node in reversed(inputs[1:]):
        if any(
            node.target in (name, f"*{name}", f"**{name}") or node.target.startswith(f"{name}_") for name in defaults
        ):
            _erase(graph, node)
    inputs = [node.name for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise InputError(f"{type(net).__name__} takes {', '.join(inputs)}; only nets of one image embed")
    traced = fx.GraphModule(net, graph)
    for name, module in list(traced.named_modules()):
        if name and parametrize.is_parametrized(module):
            parent, _, leaf = name.rpartition(".")
            setattr(traced.get_submodule(parent), leaf, _plain(module))
            for node in graph.find_nodes(op="call_module", target=name):
                node.meta["computed"] = True
    return traced


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _LEAVES or super().is_leaf_module(m, module_qualified_name)


def _plain(module: Any) -> nn.Module:
    """A layer with the weights that the parametrizations give.

    torch.nn.utils.parametrize removes them from a class that all copies of a module share, so that this builds anew.
    """
    source = copy.deepcopy(module).eval()  # in training spectral_norm changes what it estimates
    base: Any = type(module).__mro__[1]
    plain = base.__new__(base)
    plain.__dict__.update(source.__dict__, _parameters=dict(source._parameters), _modules={})
    for name, parametrization in source.parametrizations.items():
        learns = any(parameter.requires_grad for parameter in parametrization.parameters())
        plain.register_parameter(name, nn.Parameter(getattr(source, name).detach(), learns))
    return plain.train(module.training)


def _erase(graph: fx.Graph, node: fx.Node) -> None:
    """Take out an argument that has its default, and the checks that it has."""
    for user in list(node.users):
        _erase(graph, user)
    graph.erase_node(node)


@contextmanager
def _no_shape_checks() -> Iterator[None]:
    """Where jaxtyping enforces its annotations, the symbols of torch.fx would not pass for tensors."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
