"""The array of a convolutional net that is nearest to all the arrays, of one layer or of several, that stand for it."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lcfs.embedding.geometry import convolution_of, matrix_of, to_numpy
from lcfs.embedding.operations import LinearMap, Shape, Transposed
from lcfs.embedding.sparse import SparseLinear
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from theory.operators import Convolution, project_tied


@dataclass(frozen=True)
class Energies:
    """Parts of ‖·‖², in float64: what the nearest array keeps, and what it loses inside and outside LOCAL."""

    shared: float
    local_unshared: float
    off_local: float


@dataclass
class TiedArray:
    """An array of the convolutional net, and what stands for it in the other net.

    Attributes:
        name: in the state dict of the convolutional net; the first, if it has several.
        tensor: to be filled.
        layer: whose weight it is; None for a vector.
        matrices: (geometry, matrix); no geometry for Linear.
        vectors: `[channels, units of each]`.
    """

    name: str
    tensor: Tensor
    layer: LinearMap | None
    matrices: list[tuple[Convolution | None, Any]] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)

    def fill(self) -> Energies:
        """Put the nearest array into the tensor; returns what it keeps and loses."""
        convolutional = [(convolution, matrix) for convolution, matrix in self.matrices if convolution is not None]
        if isinstance(self.layer, LocallyConnected):
            (convolution, matrix), *others = convolutional
            if others:
                raise InputError(
                    f"{self.name} of `like` is shared by several layers; only convolutions can be averaged"
                )
            _put(self.tensor, convolution.to_local(matrix))
        elif not convolutional:
            each = np.stack([np.asarray(matrix, dtype=np.float64) for _, matrix in self.matrices] or self._joined())
            mean = each.mean(0)
            _put(self.tensor, mean)
            return Energies(_energy(np.broadcast_to(mean, each.shape)), _energy(each - mean), 0.0)
        nearest = project_tied(convolutional)
        if not isinstance(self.layer, LocallyConnected):
            _put(self.tensor, nearest[0].weight)
        return Energies(
            sum(one.shared for one in nearest),
            sum(one.local_unshared for one in nearest),
            sum(one.off_local for one in nearest),
        )

    def _joined(self) -> list[np.ndarray]:
        """The numbers of each channel at all places of all layers, `[channels]` for each place."""
        return list(np.concatenate(self.vectors, axis=1).T)


def matrix_like(
    name: str, ours: LinearMap, theirs: nn.Module, before: Shape, after: Shape
) -> tuple[Convolution | None, Any]:
    """The geometry of our layer, and the matrix of the one that stands for it, turned as the geometry has it.

    Raises:
        InputError: a layer of another kind or shape, by its name.
    """
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
        return None, np.asarray(matrix)
    return convolution, matrix.T if isinstance(ours, Transposed) else matrix


def vector_like(name: str, ours: Tensor, theirs: Tensor, units: int) -> np.ndarray:
    """`[channels, units of each]` of numbers of units that stand for one of each channel; as many stay as they are.

    Raises:
        InputError: another number of them.
    """
    if theirs.numel() not in (units, ours.numel()):
        raise InputError(
            f"{name} of model has {theirs.numel()} numbers, expected {units}; check `image` and the widths"
        )
    return to_numpy(theirs).astype(np.float64).reshape(ours.numel(), -1)


@torch.no_grad()
def _put(tensor: Tensor, numbers: np.ndarray) -> None:
    tensor.copy_(torch.from_numpy(np.ascontiguousarray(numbers)).reshape(tensor.shape))


def _energy(numbers: np.ndarray) -> float:
    return float((numbers**2).sum())
