"""The way back: the nearest convolutional net to a net in LOCAL or FC, and the energy that lies elsewhere."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx, nn

from lcfs.embedding.averages import average_matrix
from lcfs.embedding.geometry import convolution_of, matrix_of, to_numpy
from lcfs.embedding.operations import LinearMap, Norm, Shape, Transposed, layer_name
from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.tracing import as_net, trace
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from theory.operators import project_conv


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
    a channel), so that ‖before‖² = ‖after, embedded‖² + local_unshared + off_local, array by array. Weights of
    LocallyConnected on the padding meet no pixel and do not count; taps that nowhere meet a pixel become 0.

    Args:
        model: a net of LOCAL or FC with the layer names of `like`: from `embed`, or S-FC, S-LOCAL, … of `lcfs.build`.
        like: the convolutional net, whose numbers do not matter and which is left as it is. Where it has a
            LocallyConnected, what is local is kept unshared.
        image: shape of one example, (channels, *spatial).

    Returns:
        The net in evaluation mode, its numbers rounded once to the type of `like`, and the energies before rounding.

    Raises:
        InputError: as `embed` for `like`; a layer that `model` lacks or has in another shape; a layer of `like` that
            is called on images of two sizes.
    Source: theory.operators.project_conv.

    >>> from lcfs.embedding.nets import embed
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1)).eval()
    >>> back = project(embed(net, "fc", (1, 8, 8)), net, (1, 8, 8))
    >>> torch.equal(back.model[0].weight, net[0].weight), back.local_unshared + back.off_local < 1e-9
    (True, True)
    """
    nearest = copy.deepcopy(like).eval()
    net = trace(nearest, tuple(image))
    projector = _Projector(dict(as_net(model).named_modules()), dict(as_net(nearest).named_modules()))
    arrays = [array for node in net.graph.nodes if "kind" in node.meta for array in projector.project(node)]
    projector.refuse_leftovers()
    return NetProjection(nearest, tuple(arrays))


class _Projector:
    """Fills the layers of the convolutional net, `ours`, from those of the same names in the other, `theirs`."""

    def __init__(self, theirs: dict[str, nn.Module], ours: dict[str, nn.Module]) -> None:
        self.theirs, self.ours = theirs, ours
        self.seen: dict[str, Shape] = {}

    def project(self, node: fx.Node) -> Iterator[ArrayProjection]:
        """The arrays of the module that this is the first call of."""
        name = layer_name(node, self.ours)
        if node.meta["kind"] == "average":
            self._check_average(name, node)
        if node.meta["kind"] not in ("linear", "norm"):
            return
        before, after = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
        if name in self.seen:
            if self.seen[name] != before:
                raise InputError(f"{name} sees images of {self.seen[name]} and of {before}; two matrices, one filter")
            return
        self.seen[name] = before
        if name not in self.theirs:
            raise InputError(f"model has no layer {name}, which `like` has; give two nets of the same layers")
        ours, theirs = self.ours[name], self.theirs[name]
        if isinstance(ours, LinearMap):
            yield _project_weight(name, ours, theirs, before, after)
        mine, its = _vectors(ours), _vectors(theirs)
        if mine.keys() != its.keys():
            raise InputError(
                f"{name} has {', '.join(mine) or 'no bias'} in `like` and {', '.join(its) or 'no bias'} in model"
            )
        for array, tensor in mine.items():
            yield _project_vector(f"{name}.{array}", tensor, its[array], math.prod(after))
        counters = [getattr(layer, "num_batches_tracked", None) for layer in (ours, theirs)]
        if counters[0] is not None and counters[1] is not None:
            counters[0].copy_(counters[1])

    def refuse_leftovers(self) -> None:
        """No layer of the other net may go by unseen."""
        holds = {name for name, m in self.theirs.items() if [*m.parameters(recurse=False), *m.buffers(recurse=False)]}
        if left := sorted(holds - self.seen.keys()):
            raise InputError(
                f"`like` has no layers {', '.join(left)}, which model has; give two nets of the same layers"
            )

    def _check_average(self, name: str, node: fx.Node) -> None:
        """A matrix that stands for an average must still be it: the convolutional net has no weights there."""
        theirs = self.theirs.get(name)
        if not isinstance(theirs, nn.Linear | SparseLinear):
            return
        self.seen[name] = node.meta["shape"]
        found = matrix_of(theirs, None)
        fixed = average_matrix(node, self.ours).astype(found.dtype)
        if found.shape != fixed.shape or abs(found - fixed).max() > 0:
            raise InputError(f"{name} of model is no average any more, for which `like` has no weights; keep it frozen")


def _project_weight(name: str, ours: LinearMap, theirs: nn.Module, before: Shape, after: Shape) -> ArrayProjection:
    """Fill the weight of one layer."""
    if isinstance(ours, SparseLinear):
        raise InputError(f"{name} of `like` is a SparseLinear, whose convolution is not known; give the original net")
    if not isinstance(theirs, (nn.Linear, SparseLinear, LocallyConnected, type(ours))):
        raise InputError(f"{name} of model is a {type(theirs).__name__}, which is no {type(ours).__name__} embedded")
    convolution, units = convolution_of(name, ours, before, after), (math.prod(after), math.prod(before))
    if isinstance(theirs, LocallyConnected) and (convolution is None or theirs.weight.shape != convolution.local_shape):
        raise InputError(f"{name} of model does not have the geometry of that of `like`; check `image` and the widths")
    matrix = matrix_of(theirs, convolution)
    if matrix.shape != units:
        raise InputError(f"{name} of model is {matrix.shape}, expected {units}; check `image` and the widths")
    if convolution is None:
        _put(ours.weight, np.asarray(matrix))
        return ArrayProjection(f"{name}.weight", _energy(np.asarray(matrix)))
    oriented = matrix.T if isinstance(ours, Transposed) else matrix
    found = project_conv(convolution, oriented)
    _put(ours.weight, convolution.to_local(oriented) if isinstance(ours, LocallyConnected) else found.weight)
    return ArrayProjection(f"{name}.weight", found.shared, found.local_unshared, found.off_local)


def _vectors(layer: nn.Module) -> dict[str, Tensor]:
    """The arrays that hold a number for each channel or unit."""
    names = ("weight", "bias", "running_mean", "running_var") if isinstance(layer, Norm) else ("bias",)
    return {name: tensor for name in names if (tensor := getattr(layer, name, None)) is not None}


def _project_vector(name: str, ours: Tensor, theirs: Tensor, units: int) -> ArrayProjection:
    """Fill one number for each channel with the mean over its units; as many numbers stay as they are."""
    if theirs.numel() not in (units, ours.numel()):
        raise InputError(
            f"{name} of model has {theirs.numel()} numbers, expected {units}; check `image` and the widths"
        )
    each = to_numpy(theirs).astype(np.float64).reshape(ours.numel(), -1)
    mean = each.mean(1, keepdims=True)
    _put(ours, mean)
    return ArrayProjection(name, _energy(np.broadcast_to(mean, each.shape)), _energy(each - mean))


@torch.no_grad()
def _put(tensor: Tensor, numbers: np.ndarray) -> None:
    tensor.copy_(torch.from_numpy(numbers).reshape(tensor.shape))


def _energy(numbers: np.ndarray) -> float:
    return float((numbers.astype(np.float64) ** 2).sum())
