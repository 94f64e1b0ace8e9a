"""The way back: the nearest convolutional net to a net in LOCAL or FC, and the energy that lies elsewhere."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from lcfs.embedding.averages import average_matrix
from lcfs.embedding.geometry import matrix_of, own_numbers
from lcfs.embedding.graph import as_net
from lcfs.embedding.nearest import TiedArray, matrix_like, vector_like
from lcfs.embedding.operations import LinearMap, Norm, Shape, layer_name, sized_name
from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.tracing import trace
from lcfs.embedding.units import AnyType
from lcfs.errors import InputError


@dataclass(frozen=True)
class ArrayProjection:
    """Where the energy of one array lies: ‖·‖² = shared + local_unshared + off_local, in float64.

    Attributes:
        name: in the state dict of the convolutional net.
        shared: energy of the nearest array of CONV; all of it for what convolutions do not share, as a linear layer.
        local_unshared: of what is local but differs between positions.
        off_local: of what connects units beyond the reach of the convolution.
    """

    name: str
    shared: float
    local_unshared: float = 0.0
    off_local: float = 0.0

    @property
    def energy(self) -> float:
        """‖·‖² of the array before the projection."""
        return self.shared + self.local_unshared + self.off_local


@dataclass(frozen=True)
class NetProjection:
    """The nearest convolutional net, and for each of its arrays what the projection lost."""

    model: nn.Module
    arrays: tuple[ArrayProjection, ...]

    @property
    def shared(self) -> float:
        """Energy that the convolutional net keeps, over all arrays."""
        return sum(array.shared for array in self.arrays)

    @property
    def local_unshared(self) -> float:
        """Energy lost to weights, biases and BatchNorm that differ between positions."""
        return sum(array.local_unshared for array in self.arrays)

    @property
    def off_local(self) -> float:
        """Energy lost beyond the reach of the convolutions."""
        return sum(array.off_local for array in self.arrays)


def project(model: nn.Module, like: nn.Module, image: Sequence[int]) -> NetProjection:
    """The net of the kind of `like` whose embedding is nearest to `model`: P_conv for every layer.

    It inverts `embed`: project(embed(net, …), net, image) is the net, and nothing is lost. Each array is projected
    orthogonally (weights by E (EᵀE)⁺ Eᵀ, biases and the four numbers of BatchNorm by their mean over the positions of
    a channel), so that ‖before‖² = ‖after, embedded‖² + local_unshared + off_local, array by array. Layers of `like`
    that share an array, or see images of several sizes, get the one that is nearest to all of theirs. Weights of
    LocallyConnected on the padding meet no pixel and do not count; taps that nowhere meet a pixel become 0.

    Args:
        model: a net of LOCAL or FC with the layer names of `like`: from `embed`, or S-FC, S-LOCAL, … of `lcfs.build`.
        like: the convolutional net, whose numbers do not matter and which is left as it is. Where it has a
            LocallyConnected, what is local is kept unshared.
        image: shape of one example, (channels, *spatial).

    Returns:
        The net in evaluation mode, its numbers rounded once to the type of `like`, and the energies before rounding.

    Raises:
        InputError: as `embed` for `like`; a layer that `model` lacks or has in another shape; a LocallyConnected of
            `like` that shares its weight.
    Source: theory.operators.project_conv.

    >>> import torch
    >>> from lcfs.embedding.nets import embed
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1)).eval()
    >>> back = project(embed(net, "fc", (1, 8, 8)), net, (1, 8, 8))
    >>> torch.equal(back.model[0].weight, net[0].weight), back.local_unshared + back.off_local < 1e-9
    (True, True)
    """
    nearest = copy.deepcopy(like).eval()
    if parametrized := [name for name, m in nearest.named_modules() if parametrize.is_parametrized(m)]:
        raise InputError(
            f"{parametrized[0]} of `like` is parametrized, so that no weights can be put into it; call "
            "torch.nn.utils.parametrize.remove_parametrizations on it first"
        )
    net = trace(nearest, tuple(image))
    projector = _Projector(dict(as_net(model).named_modules()), dict(as_net(nearest).named_modules()))
    for node in net.graph.nodes:
        if "kind" in node.meta:
            projector.add(node)
    projector.refuse_leftovers()
    arrays = []
    for array in projector.arrays.values():
        energies = array.fill()
        arrays.append(ArrayProjection(array.name, energies.shared, energies.local_unshared, energies.off_local))
    return NetProjection(nearest, tuple(arrays))


class _Projector:
    """Gathers, for each array of the convolutional net, the layers of the other net that stand for it."""

    def __init__(self, theirs: dict[str, nn.Module], ours: dict[str, nn.Module]) -> None:
        self.theirs, self.ours = theirs, ours
        self.shapes: dict[str, Shape] = {}
        self.seen: set[str] = set()
        self.arrays: dict[int, TiedArray] = {}

    def add(self, node: fx.Node) -> None:
        """The arrays of the module that this is a call of."""
        name = layer_name(node, self.ours)
        if node.meta["kind"] == "average":
            self._check_average(name, node)
        if node.meta["kind"] not in ("linear", "norm"):
            return
        before, after = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
        if name not in self.ours:
            raise InputError(f"`like` calls {name} as a function; make it a module, into which weights can be put")
        ours, other = self.ours[name], sized_name(name, before, self.shapes)
        if other in self.seen:
            return
        self.seen.add(other)
        if other not in self.theirs:
            raise InputError(f"model has no layer {other}, which `like` has; give two nets of the same layers")
        theirs = self.theirs[other]
        if isinstance(ours, LinearMap):
            array = self._array(f"{name}.weight", own_numbers(ours), ours)
            array.matrices.append(matrix_like(other, ours, theirs, before, after))
        mine, its = _vectors(ours), _vectors(theirs)
        if mine.keys() != its.keys():
            raise InputError(
                f"{other} has {', '.join(mine) or 'no bias'} in `like` and {', '.join(its) or 'no bias'} in model"
            )
        for array_name, tensor in mine.items():
            array = self._array(f"{name}.{array_name}", tensor, None)
            array.vectors.append(vector_like(f"{other}.{array_name}", tensor, its[array_name], math.prod(after)))
        counters = [getattr(layer, "num_batches_tracked", None) for layer in (ours, theirs)]
        if counters[0] is not None and counters[1] is not None:
            counters[0].copy_(counters[1])

    def _array(self, name: str, tensor: Tensor, layer: LinearMap | None) -> TiedArray:
        """What stands for a tensor; layers that share it are found under one entry."""
        return self.arrays.setdefault(id(tensor), TiedArray(name, tensor, layer))

    def refuse_leftovers(self) -> None:
        """No layer of the other net may go by unseen."""
        holds = {name for name, m in self.theirs.items() if [*m.parameters(recurse=False), *m.buffers(recurse=False)]}
        if left := sorted(holds - self.seen):
            raise InputError(
                f"`like` has no layers {', '.join(left)}, which model has; give two nets of the same layers"
            )

    def _check_average(self, name: str, node: fx.Node) -> None:
        """A matrix that stands for an average must still be it: the convolutional net has no weights there."""
        theirs = self.theirs.get(name)
        if isinstance(theirs, AnyType):
            self.seen.add(f"{name}.layer")
            theirs = theirs.layer
        if not isinstance(theirs, nn.Linear | SparseLinear):
            return
        self.seen.add(name)
        matrix = matrix_of(theirs, None)
        fixed = average_matrix(node, self.ours).astype(matrix.dtype)
        if matrix.shape != fixed.shape or abs(matrix - fixed).max() > 0:
            raise InputError(f"{name} of model is no average any more, for which `like` has no weights; keep it frozen")


def _vectors(layer: nn.Module) -> dict[str, Tensor]:
    """The arrays that hold a number for each channel or unit."""
    names = ("weight", "bias", "running_mean", "running_var") if isinstance(layer, Norm) else ("bias",)
    return {name: tensor for name in names if (tensor := getattr(layer, name, None)) is not None}
