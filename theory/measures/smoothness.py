"""Whether neighbouring pixels of a filter have like weights: Moran's I with its exact permutation z-score."""

from dataclasses import dataclass

import numpy as np

from theory.measures.banks import Numbers, divide, grid, unit


@dataclass(frozen=True)
class Moran:
    """Moran's I of a filter, in about [−1, 1], and its z-score under all permutations of the pixels."""

    index: Numbers
    z_score: Numbers


def morans_i(filters: np.ndarray) -> Moran:
    """Moran's I = (n / Σ a_ij) Σ a_ij z_i z_j / Σ z², z = w − mean, a_ij = 1 for pixels that share an edge.

    It separates smooth filters (z-score ≫ 0) from scattered ones (≈ 0). The mean and the variance over all n!
    permutations of the pixels are known in closed form, so that none is drawn.

    Raises:
        ValueError: images of less than 4 pixels.
    Source: Cliff and Ord, Spatial Autocorrelation, 1973 (randomization assumption).
    """
    weights = unit(filters)
    height, width = weights.shape[-2:]
    n = height * width
    if n < 4:
        raise ValueError(f"Moran's I has a permutation variance from 4 pixels on, got {height} × {width}")
    # A constant filter keeps only rounding here, so that it would pass for noise.
    deviation = np.where(np.ptp(weights, axis=(-2, -1), keepdims=True) > 0, weights, 0.0)
    deviation = deviation - deviation.mean((-2, -1), keepdims=True)
    neighbours = (deviation[..., 1:, :] * deviation[..., :-1, :]).sum((-2, -1))
    neighbours = neighbours + (deviation[..., 1:] * deviation[..., :-1]).sum((-2, -1))
    row, column = grid(weights)
    degree = (row > 0) * 1 + (row < height - 1) + (column > 0) + (column < width - 1)
    s0, s2 = float(degree.sum()), 4.0 * float((degree**2).sum())
    s1 = 2 * s0
    second, fourth = (deviation**2).mean((-2, -1)), (deviation**4).mean((-2, -1))
    index = divide(2 * neighbours, s0 * second)
    kurtosis = divide(fourth, second**2)
    square = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0**2)
    square = square - kurtosis * ((n * n - n) * s1 - 2 * n * s2 + 6 * s0**2)
    mean = -1 / (n - 1)
    variance = square / ((n - 1) * (n - 2) * (n - 3) * s0**2) - mean**2
    # Where all permutations score alike the variance is 0, of which terms near 1 leave their rounding.
    return Moran(index, divide(index - mean, np.sqrt(np.where(variance > 1e-13, variance, 0.0))))
