"""Post-hoc pruning and quantization: fewer non-zeros, and few distinct values shared through a codebook.

What comes out is simply another hypothesis of the same description language, so nothing is owed for having looked for
it; its codebooks and supports are paid for bit by bit like everybody's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_ROUNDS = 30


@dataclass(frozen=True)
class Coarsening:
    """What to do to every array of a net.

    density: the part of each array's non-zero entries to keep, in (0, 1]; those of largest magnitude.
    value_bits: each array's non-zero entries share at most 2^value_bits values, ≥ 0; None keeps all.
    """

    density: float = 1.0
    value_bits: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise ValueError(f"density must lie in (0, 1], got {self.density}")
        if self.value_bits is not None and not 0 <= self.value_bits <= 16:
            raise ValueError(f"value_bits must lie in 0…16, got {self.value_bits}")


def coarsen(arrays: Mapping[str, np.ndarray], how: Coarsening) -> dict[str, np.ndarray]:
    """The arrays after pruning, then sharing of values; codebook values are rounded to float16, all arrays to float32.

    Arrays of one dimension (biases) are not pruned.
    """
    coarse = {}
    for name, array in arrays.items():
        pruned = np.asarray(array, dtype=np.float32)
        pruned = prune(pruned, how.density) if pruned.ndim > 1 else pruned
        coarse[name] = pruned if how.value_bits is None else share(pruned, 2**how.value_bits)
    return coarse


def prune(array: np.ndarray, density: float) -> np.ndarray:
    """The array with only the `density` of its non-zero entries that are largest in magnitude, at least one of them."""
    magnitude = np.abs(array)
    nonzeros = int(np.count_nonzero(array))
    kept = max(round(density * nonzeros), 1)
    if kept >= nonzeros:
        return array
    threshold = np.partition(magnitude, -kept, axis=None)[-kept]
    return np.where(magnitude >= threshold, array, 0).astype(array.dtype)


def share(array: np.ndarray, values: int) -> np.ndarray:
    """The array with its non-zero entries moved to the nearest of at most `values` shared ones, exact in float16.

    Lloyd's algorithm on the sorted entries from their quantiles, which gives the same codebook each time.
    """
    entries = np.sort(array[array != 0].astype(np.float64))
    if len(entries) == 0:
        return array
    sums = np.concatenate([[0.0], np.cumsum(entries)])
    centers = np.unique(np.quantile(entries, (np.arange(values) + 0.5) / values))
    for _ in range(_ROUNDS):
        borders = np.searchsorted(entries, (centers[1:] + centers[:-1]) / 2)
        edges = np.concatenate([[0], borders, [len(entries)]])
        filled = np.diff(edges) > 0
        centers = np.diff(sums[edges])[filled] / np.diff(edges)[filled]
    limit = float(np.finfo(np.float16).max)
    codebook = np.unique(centers.clip(-limit, limit).astype(np.float16).astype(np.float64))
    codebook = codebook[codebook != 0] if np.any(codebook) else codebook
    nearest = np.searchsorted((codebook[1:] + codebook[:-1]) / 2, array)
    return np.where(array != 0, codebook[nearest], 0).astype(np.float32)
