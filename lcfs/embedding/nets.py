"""Embedding a whole net: the same function, with LOCAL or FC layers in the place of its convolutions."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from lcfs.embedding.averages import average_matrix
from lcfs.embedding.geometry import convolution_of
from lcfs.embedding.layers import Into, embed_linear, embed_norm, embed_prelu, from_matrix, is_locally_connected
from lcfs.embedding.maxima import max_of
from lcfs.embedding.moving import rearranged, replayed
from lcfs.embedding.operations import LinearMap, Norm, Shape, layer_name, sized_name
from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.tracing import activations, example_parameter, has_type, trace
from lcfs.embedding.units import AnyType, MaxOf
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected


def embed(
    model: nn.Module, into: Into, image: Sequence[int], *, sparse: bool = False, limit_bytes: int = 2**32
) -> nn.Module:
    """The same function in LOCAL or FC: vec(W) = E w for every convolution, one number for each unit of BatchNorm.

    Layers keep their names, so that the embedding of S-CONV loads into S-LOCAL and S-FC, and D-CONV likewise. It takes
    and returns what the net does, has parameters of its own, and shares nothing that convolutions share. Dropout, being
    elementwise, then falls on the same units. Averages have no weights: in FC they are matrices that are not trained.
    Max-pooling is a maximum over linear maps there, and stays as it is in LOCAL; what normalizes within an image, as
    GroupNorm and softmax, stays as it is in both.

    Args:
        model: a net that torch.fx can trace, of Conv1d/2d/3d, ConvTranspose1d/2d/3d, LocallyConnected, Linear,
            BatchNorm in evaluation mode, pooling, padding, linear and nearest interpolation, calls that reshape or move
            numbers (cat, chunk, slices, permute, shuffles), sums, products, constants of the net, softmax, GroupNorm,
            LayerNorm and elementwise activations. Arguments after the first have their defaults; parametrizations, as
            weight_norm, are read through. To fold BatchNorm, pass what `lcfs.nets.folding.fold_batchnorm` returns.
        into: "local" (LocallyConnected; SparseLinear for a geometry that it lacks) or "fc" (Linear).
        image: shape of one example, (channels, *spatial).
        sparse: store the matrices of FC sparse, as SparseLinear: only what the convolution reaches is stored.
        limit_bytes: most memory that the weights may take, 4 GiB unless said otherwise.

    Returns:
        A torch.fx.GraphModule, an ordinary module. Equal on integers, and on floats within the rounding of two orders
        of summation (`lcfs.testing.assert_embeds`).

    Raises:
        InputError: a module or function that is not known to embed, by its name; BatchNorm in training mode; a net
            that cannot be traced or does not take such an image; weights over the limit, before any are built.
    Source: paper §2.1.

    >>> fc = embed(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU()).eval(), "fc", (1, 8, 8))
    >>> fc.get_submodule("0").weight.shape  # 2 · 8 · 8 outputs by 8 · 8 inputs
    torch.Size([128, 64])
    """
    if into not in ("local", "fc"):
        raise InputError(f'into must be "local" or "fc", got {into!r}')
    net = trace(model, tuple(image))
    _guard(net, into, sparse, limit_bytes)
    builder = _Builder(net, into, sparse)
    for node in net.graph.nodes:
        builder.add(node)
    return builder.finish(model.training)


class _Builder:
    """Writes the graph of the embedded net, in which every activation is a vector: `[batch, units]`."""

    def __init__(self, net: fx.GraphModule, into: Into, sparse: bool) -> None:
        self.old = dict(net.named_modules())
        self.like, self.typed = example_parameter(net), has_type(net)
        self.into: Into = into
        self.sparse = sparse
        self.graph = fx.Graph()
        self.modules: dict[str, Any] = {}  # and the constants
        self.shapes: dict[str, Shape] = {}
        self.values: dict[fx.Node, fx.Node] = {}

    def add(self, node: fx.Node) -> None:
        """The calls that stand for one call of the net."""
        if node.op == "placeholder":
            x = self.graph.placeholder(node.name)
            self.values[node] = self.graph.call_method("flatten", (x, 1)) if len(node.meta["shape"]) > 1 else x
        elif node.op == "output":
            (last,) = node.all_input_nodes
            self.graph.output(self._image(self.values[last], last.meta["shape"]))
        elif "kind" in node.meta and "pieces" not in node.meta:  # pieces are taken from what they are pieces of
            self.values[node] = self._of_kind(node)

    def finish(self, training: bool) -> fx.GraphModule:
        """The net of all that was added."""
        self.graph.lint()
        embedded = fx.GraphModule(self.modules, self.graph, "Embedded").train(training)
        for name, module in self.modules.items():
            if name in self.old:
                module.train(self.old[name].training)  # BatchNorm may be frozen in a net that trains
        return embedded

    def _of_kind(self, node: fx.Node) -> fx.Node:
        kind, inputs = node.meta["kind"], activations(node)
        if kind == "reshape":
            return self.values[inputs[0]]  # row-major, as the vector already is
        if kind == "move":
            return self._moved(node, inputs, replayed(node, self.old))
        if kind == "elementwise" and node.op != "call_module":
            return self.graph.node_copy(node, lambda each: self._operand(each, node))
        embedded = type(self.old.get(str(node.target))) in (AnyType, MaxOf)
        if kind == "kept" or embedded or (self.into == "local" and kind in ("average", "max")):  # as it is, on images
            return self._flat(self._on_image(node))
        return self._call(node, self.values[inputs[0]], inputs[0].meta["shape"])

    def _moved(self, node: fx.Node, inputs: list[fx.Node], move: Callable[[list[Tensor]], Tensor]) -> fx.Node:
        """Units in another order, of one activation or of several in a row."""
        layer = rearranged(str(node.target), move, [each.meta["shape"] for each in inputs], self.like)
        vectors = [self.values[each] for each in inputs]
        x = vectors[0] if len(vectors) == 1 else self.graph.call_function(torch.cat, (vectors, 1))
        before = sum(math.prod(each.meta["shape"]) for each in inputs)
        if layer.constant is None and torch.equal(layer.index, torch.arange(1, before + 1, device=layer.index.device)):
            return x
        return self.graph.call_module(self._new(node.name, layer), (x,))

    def _operand(self, each: fx.Node, node: fx.Node) -> Any:
        """What stands for an operand of an elementwise call: a vector with copies, a number, or one for each unit."""
        if "value" not in each.meta:
            shape = node.meta["shape"]
            if each.meta["shape"] == shape:
                return self.values[each]
            return self._moved(each, [each], lambda images: images[0].expand(len(images[0]), *shape))
        value = each.meta["value"]
        if not isinstance(value, Tensor) or value.ndim == 0:
            return float(value) if isinstance(value, Tensor) else value
        try:
            units = value.detach().expand(1, *node.meta["shape"]).flatten().clone()
        except RuntimeError as error:
            raise InputError(
                f"{node.name} combines each image of a batch with another constant; give one for all"
            ) from error
        learns = any(source.meta["value"].requires_grad for source in _sources(each))
        return self.graph.get_attr(self._new(each.name, nn.Parameter(units) if learns else units))

    def _on_image(self, node: fx.Node) -> fx.Node:
        """The call itself, with a copy of its module and of its constants."""
        if node.op == "call_module":
            self.modules[str(node.target)] = copy.deepcopy(self.old[str(node.target)])

        def operand(each: fx.Node) -> Any:
            if "value" not in each.meta:
                return self._image(self.values[each], each.meta["shape"])
            value = each.meta["value"]
            if not isinstance(value, Tensor):
                return value
            return self.graph.get_attr(self._new(each.name, copy.deepcopy(value)))

        return self.graph.node_copy(node, operand)

    def _call(self, node: fx.Node, x: fx.Node, before: Shape) -> fx.Node:
        """A call of the module that stands for this one; those that need an image get one."""
        name = layer_name(node, self.old)
        name = name if node.meta["kind"] == "elementwise" else sized_name(name, before, self.shapes)
        if name not in self.modules:
            self.modules[name] = self._embedded(node, before)
        if isinstance(self.modules[name], LocallyConnected):
            return self._flat(self.graph.call_module(name, (self._image(x, before),)))
        return self.graph.call_module(name, (x,))

    def _embedded(self, node: fx.Node, before: Shape) -> nn.Module:
        if node.meta["kind"] == "average":
            like = self.like if self.typed else self.like.double()
            fixed = from_matrix(average_matrix(node, self.old), like, stored=self.sparse).requires_grad_(False)
            return fixed if self.typed else AnyType(fixed)
        if node.meta["kind"] == "max":
            return max_of(node, self.old)
        module = self.old[str(node.target)]
        if isinstance(module, Norm):
            return embed_norm(module, before)
        if isinstance(module, LinearMap):
            return embed_linear(str(node.target), module, before, node.meta["shape"], self.into, self.sparse)
        if isinstance(module, nn.PReLU):
            return embed_prelu(module, before)
        return copy.deepcopy(module)

    def _new(self, name: str, value: Any) -> str:
        """Put a module or a constant in under a name that nothing has."""
        while name in self.modules or name in self.old:
            name += "_"
        self.modules[name] = value
        return name

    def _image(self, x: fx.Node, shape: Shape) -> fx.Node:
        return self.graph.call_method("unflatten", (x, 1, shape)) if len(shape) > 1 else x

    def _flat(self, x: fx.Node) -> fx.Node:
        return self.graph.call_method("flatten", (x, 1))


def _sources(node: fx.Node) -> list[fx.Node]:
    """The tensors of the net that a constant is computed from."""
    if node.op == "get_attr":
        return [node] if isinstance(node.meta["value"], Tensor) else []
    return [source for each in node.all_input_nodes for source in _sources(each)]


def _guard(net: fx.GraphModule, into: Into, sparse: bool, limit_bytes: int) -> None:
    """Refuse what would not fit, naming the layer that takes most."""
    modules = dict(net.named_modules())
    item = example_parameter(net).element_size()
    sizes = {
        node.name: _bytes(node, modules, into, sparse, item)
        for node in net.graph.nodes
        if node.meta.get("kind") in ("linear", "average")
    }
    total = sum(sizes.values())
    if total > limit_bytes:
        largest = max(sizes, key=lambda name: sizes[name])
        remedy = "raise limit_bytes" if sparse or into == "local" else "pass sparse=True or raise limit_bytes"
        raise InputError(
            f"the weights of this net in {into.upper()} would take {total:,} bytes ({largest} alone "
            f"{sizes[largest]:,}), over the limit of {limit_bytes:,}; {remedy}"
        )


def _bytes(node: fx.Node, modules: dict[str, nn.Module], into: Into, sparse: bool, item: int) -> int:
    """Memory of the weights of a linear layer or average after embedding; 16 bytes are the place of a stored one."""
    before, after = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
    dense = math.prod(before) * math.prod(after) * item
    if node.op != "call_module" or node.meta["kind"] == "average":
        return 0 if sparse or into == "local" else dense
    module = modules[str(node.target)]
    assert isinstance(module, LinearMap)
    convolution = convolution_of(str(node.target), module, before, after)
    if convolution is not None and into == "local" and is_locally_connected(module, convolution):
        return math.prod(convolution.local_shape) * item
    stored = sparse or into == "local"
    if isinstance(module, SparseLinear) and stored:
        return len(module.values) * (item + 16)
    if convolution is not None and stored:
        return convolution.local_dimension * (item + 16)
    return dense
