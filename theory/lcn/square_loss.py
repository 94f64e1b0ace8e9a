"""The square loss (P − u)ᵀ G (P − u) of a network, exactly: target, architecture and Gram matrix, checked."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from theory.lcn.composition import Coefficients, compose, composed_size, layer_steps
from theory.lcn.forms import rationals

Vector = Coefficients
Matrix = Sequence[Sequence[Any]] | np.ndarray
Filters = tuple[tuple[Fraction, ...], ...]


class NotIsolated(ValueError):
    """The critical points of this target form a curve, so that there is no list of them."""


@dataclass(frozen=True)
class SquareLoss:
    """One loss on one network.

    Attributes:
        target: u, [k] of Fractions.
        sizes: k_1 … k_L.
        steps: S_1 … S_L; filter i is a polynomial in x^{S_i}.
        gram: G, [k, k] of Fractions, symmetric and positive definite.
    """

    target: np.ndarray
    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    gram: np.ndarray

    @classmethod
    def of(
        cls, target: Vector, sizes: Sequence[int], strides: Sequence[int] | None, gram: Matrix | None
    ) -> "SquareLoss":
        """From what users pass. Raises: ValueError for sizes, target or Gram matrix out of range."""
        size = composed_size(sizes, strides)
        u = rational_array(target)
        if u.shape != (size,):
            raise ValueError(f"target must have the {size} coefficients of a composition, got shape {u.shape}")
        g = rational_array(np.eye(size, dtype=int) if gram is None else gram)
        if g.shape != (size, size) or (g != g.T).any() or not _positive_definite(g):
            raise ValueError(f"gram must be a symmetric positive definite {size} × {size} matrix")
        return cls(u, tuple(int(k) for k in sizes), layer_steps(sizes, strides), g)

    @property
    def strides(self) -> tuple[int, ...]:
        """s_1 … s_{L−1}."""
        return tuple(after // before for before, after in itertools.pairwise(self.steps))

    def composed(self, filters: Filters) -> np.ndarray:
        """P, [k] of Fractions."""
        return np.array(compose(filters, self.strides), dtype=object)

    def norm(self, p: np.ndarray) -> Any:
        """pᵀGp, a Fraction."""
        return p @ self.gram @ p

    def nearest(self, family: np.ndarray) -> np.ndarray:
        """The h that minimizes ‖Ah − u‖², exactly, for A = family of full column rank."""
        rows = np.column_stack([family.T @ self.gram @ family, family.T @ self.gram @ self.target])
        for i in range(len(rows)):
            rows[i] = rows[i] / rows[i, i]
            for j in set(range(len(rows))) - {i}:
                rows[j] = rows[j] - rows[j, i] * rows[i]
        return rows[:, -1]

    def on_tensors(self) -> tuple[np.ndarray, np.ndarray]:
        """(CᵀGC, CᵀGu) where P = C (w_1 ⊗ … ⊗ w_L)."""
        degrees = np.tensordot(self.steps, np.indices(self.sizes), axes=1).ravel()
        return self.gram[np.ix_(degrees, degrees)], (self.gram @ self.target)[degrees]


def rational_array(values: Vector | Matrix) -> np.ndarray:
    """The numbers as an array of Fractions; floats are the rationals they are. Raises: ValueError as in `rationals`."""
    array = np.array(values, dtype=object)
    return np.array(rationals(array.ravel()), dtype=object).reshape(array.shape)


def _positive_definite(g: np.ndarray) -> bool:
    """Exact, by the pivots of Gauss's elimination."""
    g = g.copy()
    for i in range(len(g)):
        if g[i, i] <= 0:
            return False
        g[i + 1 :] -= np.outer(g[i + 1 :, i] / g[i, i], g[i])
    return True


def monomials(size: int, columns: int, step: int, offset: int) -> np.ndarray:
    """[size, columns]: the coefficients of x^{offset + step·b} for b < columns."""
    matrix = np.zeros((size, columns), dtype=object)  # Python's integers: numpy's overflow inside Fractions
    matrix[offset + step * np.arange(columns), np.arange(columns)] = 1
    return matrix
