"""Orthogonal projections of an FC matrix on LOCAL and CONV, and the energy that each step loses."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from scipy import sparse

from theory.operators.convolution import Convolution


@dataclass(frozen=True)
class Projection:
    """The nearest convolution to W and where the energy of W lies: ‖W‖² = shared + local_unshared + off_local.

    Attributes:
        convolution: the geometry projected on; `convolution.csr(weight)` is P_conv W.
        weight: `weight_shape` float64, the smallest w with E w = P_conv W; 0 for taps that never meet the image.
        shared: ‖P_conv W‖².
        local_unshared: ‖(P_loc − P_conv) W‖², measured on the residual, hence exactly 0 for an embedded convolution
            whose arithmetic is exact.
        off_local: ‖(I − P_loc) W‖², likewise.
    """

    convolution: Convolution
    weight: np.ndarray
    shared: float
    local_unshared: float
    off_local: float

    @property
    def local(self) -> float:
        """‖P_loc W‖² = shared + local_unshared."""
        return self.shared + self.local_unshared

    @property
    def energy(self) -> float:
        """‖W‖² = shared + local_unshared + off_local."""
        return self.local + self.off_local


def project_local(convolution: Convolution, matrix: Any) -> sparse.csr_array:
    """Projection P_loc W onto LOCAL, as CSR: the entries of a dense or sparse W where the convolution has non-zeros.

    Raises:
        ValueError: `matrix` has not the shape of the convolution.
    """
    return convolution.from_slots(convolution.sample(matrix))


def project_conv(convolution: Convolution, matrix: Any) -> Projection:
    """Projection P_conv W = E (EᵀE)⁺ Eᵀ W of a dense or sparse W: the nearest convolution, and the energies in float64.

    Without collisions w is the mean of W over the positions at which each tap meets the image. Beyond W this needs a
    few arrays of `local_dimension` numbers and, for a dense W, the rows of one output channel.

    Raises:
        ValueError: `matrix` has not the shape of the convolution.
    """
    local = convolution.sample(matrix).astype(np.float64)
    weight = solve_gram(convolution, (local @ convolution.pattern.incidence).reshape(convolution.weight_shape))
    return _projection(convolution, matrix, weight)


def project_tied(layers: Sequence[tuple[Convolution, Any]]) -> tuple[Projection, ...]:
    """Projections of several matrices on the one filter bank w that minimizes Σ ‖W_i − E_i w‖²: weights that are tied.

    w = (Σ E_iᵀE_i)⁺ Σ E_iᵀ W_i; without collisions the mean over the positions of all layers. Energies add up in sum,
    Σ ‖W_i‖² = Σ (shared_i + local_unshared_i + off_local_i), and not for each layer.

    Args:
        layers: the geometry and the matrix of each, all with filter banks of one shape.

    Raises:
        ValueError: filter banks of several shapes, or a matrix that has not the shape of its convolution.
    """
    if len({convolution.weight_shape for convolution, _ in layers}) != 1:
        shapes = [convolution.weight_shape for convolution, _ in layers]
        raise ValueError(f"tied layers must have filter banks of one shape, got {shapes}")
    if len(layers) == 1:
        return (project_conv(*layers[0]),)
    shape = layers[0][0].weight_shape
    gradient = np.sum([convolution.gradient(matrix) for convolution, matrix in layers], axis=0).reshape(*shape[:2], -1)
    gram = np.sum([convolution.gram() for convolution, _ in layers], axis=0).astype(float)
    meets = gram.diagonal()
    if np.array_equal(gram, np.diag(meets)):
        weight = np.where(meets > 0, gradient / np.maximum(meets, 1), 0.0)
    else:
        weight = gradient @ np.linalg.pinv(gram, hermitian=True)
    return tuple(_projection(convolution, matrix, weight.reshape(shape)) for convolution, matrix in layers)


def _projection(convolution: Convolution, matrix: Any, weight: np.ndarray) -> Projection:
    """Where the energy of a matrix lies, seen from these filters."""
    local, conv = convolution.sample(matrix).astype(np.float64), convolution.csr(weight).data
    shared = _energy(conv)
    local_unshared = _energy(np.subtract(local.ravel(), conv, out=conv))
    return Projection(convolution, weight, shared, local_unshared, _off_local_energy(convolution, matrix))


def solve_gram(convolution: Convolution, weight: np.ndarray) -> np.ndarray:
    """(EᵀE)⁺ w, the smallest solution where E has a kernel: turns a gradient Eᵀ ∇_W L into the projected one.

    Raises:
        ValueError: `weight` has not the shape `weight_shape`.
    """
    if weight.shape != convolution.weight_shape:
        raise ValueError(f"weight must have the shape {convolution.weight_shape}, got {weight.shape}")
    taps = weight.reshape(*weight.shape[:2], -1)
    if convolution.pattern.collides:
        # G is the Kronecker product of small integer matrices, and so is its pseudo-inverse.
        inverses: list[np.ndarray] = [
            np.linalg.pinv(axis.gram.astype(float), hermitian=True) for axis in convolution.axes
        ]
        return (taps @ reduce(np.kron, inverses)).reshape(weight.shape)
    meets = convolution.gram().diagonal()
    # Dividing rounds once, so that a mean of equal integers is exact; a reciprocal would round twice.
    return np.where(meets > 0, taps / np.maximum(meets, 1), 0.0).reshape(weight.shape)


def _energy(numbers: np.ndarray) -> float:
    return float(np.dot(numbers, numbers))


def _off_local_energy(convolution: Convolution, matrix: Any) -> float:
    """‖(I − P_loc) W‖² summed over the entries themselves: a difference of norms would cancel."""
    if sparse.issparse(matrix):
        return _energy((sparse.csr_array(matrix) - project_local(convolution, matrix)).data.astype(np.float64))
    one = convolution.pattern
    position, columns = one.position[one.starts], convolution.columns(one.column[one.starts])
    total = 0.0
    blocks = np.asarray(matrix).reshape(convolution.out_channels, len(convolution.sources), -1)
    for rows, column in zip(blocks, columns, strict=True):  # one output channel at a time bounds the memory
        off = rows.astype(np.float64)
        off[position, column] = 0.0
        total += _energy(off.ravel())
    return total
