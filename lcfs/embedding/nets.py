"""Embedding a whole net: the same function, with LOCAL or FC layers in the place of its convolutions."""

import copy
import math
from collections.abc import Sequence

from torch import fx, nn

from lcfs.embedding.averages import average_matrix
from lcfs.embedding.geometry import convolution_of
from lcfs.embedding.layers import Into, embed_linear, embed_norm, from_matrix, is_locally_connected
from lcfs.embedding.operations import LinearMap, Norm, Shape, layer_name, sized_name
from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.tracing import example_parameter, trace
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected


def embed(
    model: nn.Module, into: Into, image: Sequence[int], *, sparse: bool = False, limit_bytes: int = 2**32
) -> nn.Module:
    """The same function in LOCAL or FC: vec(W) = E w for every convolution, one number for each unit of BatchNorm.

    Layers keep their names, so that the embedding of S-CONV loads into S-LOCAL and S-FC, and D-CONV likewise. It takes
    and returns what the net does, has parameters of its own, and shares nothing that convolutions share. Dropout, being
    elementwise, then falls on the same units. Averages have no weights: in FC they are matrices that are not trained.

    Args:
        model: a net that torch.fx can trace, of Conv1d/2d/3d, ConvTranspose1d/2d/3d, LocallyConnected, Linear,
            BatchNorm in evaluation mode, average pooling and means, reshaping, sums (residual nets) and elementwise
            activations. To fold BatchNorm instead, pass what `lcfs.nets.folding.fold_batchnorm` returns.
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
        self.into: Into = into
        self.sparse = sparse
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}
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
        elif node.meta.get("kind") == "reshape":
            self.values[node] = self.values[node.all_input_nodes[0]]  # row-major, as the vector already is
        elif node.meta.get("kind") == "elementwise" and node.op != "call_module":
            self.values[node] = self.graph.node_copy(node, lambda argument: self.values[argument])
        elif "kind" in node.meta:
            self.values[node] = self._call(node, self.values[node.all_input_nodes[0]])

    def finish(self, training: bool) -> fx.GraphModule:
        """The net of all that was added."""
        self.graph.lint()
        embedded = fx.GraphModule(self.modules, self.graph, "Embedded").train(training)
        for name, module in self.modules.items():
            if name in self.old:
                module.train(self.old[name].training)  # BatchNorm may be frozen in a net that trains
        return embedded

    def _call(self, node: fx.Node, x: fx.Node) -> fx.Node:
        """A call of the module that stands for this one; those that need an image get one."""
        before = node.all_input_nodes[0].meta["shape"]
        if node.meta["kind"] == "average" and self.into == "local":  # local, shared and without weights as it is
            if node.op == "call_module":
                self.modules[str(node.target)] = copy.deepcopy(self.old[str(node.target)])
            return self._flat(self.graph.node_copy(node, lambda _: self._image(x, before)))
        name = self._name(node, before)
        if name not in self.modules:
            self.modules[name] = self._embedded(node, before)
        if isinstance(self.modules[name], LocallyConnected):
            return self._flat(self.graph.call_module(name, (self._image(x, before),)))
        return self.graph.call_module(name, (x,))

    def _name(self, node: fx.Node, before: Shape) -> str:
        """The layer's name, with underscores if it sees images of several sizes, which needs several matrices."""
        name = layer_name(node, self.old)
        return name if node.meta["kind"] == "elementwise" else sized_name(name, before, self.shapes)

    def _embedded(self, node: fx.Node, before: Shape) -> nn.Module:
        if node.meta["kind"] == "average":
            fixed = average_matrix(node, self.old)
            return from_matrix(fixed, example_parameter(self.old[""]), stored=self.sparse).requires_grad_(False)
        module = self.old[str(node.target)]
        if isinstance(module, Norm):
            return embed_norm(module, before)
        if isinstance(module, LinearMap):
            return embed_linear(str(node.target), module, before, node.meta["shape"], self.into, self.sparse)
        return copy.deepcopy(module)

    def _image(self, x: fx.Node, shape: Shape) -> fx.Node:
        return self.graph.call_method("unflatten", (x, 1, shape)) if len(shape) > 1 else x

    def _flat(self, x: fx.Node) -> fx.Node:
        return self.graph.call_method("flatten", (x, 1))


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
