"""How few pixels hold a filter: participation ratio, Hoyer's and Gini's sparsity; blind to where the pixels lie."""

from math import prod

import numpy as np

from theory.measures.banks import Numbers, divide, unit


def participation_ratio(filters: np.ndarray) -> Numbers:
    """Effective number of pixels, (Σw²)² / Σw⁴, in [1, height · width]."""
    energy = unit(filters) ** 2
    return divide(energy.sum((-2, -1)) ** 2, (energy**2).sum((-2, -1)))


def hoyer(filters: np.ndarray) -> Numbers:
    """Hoyer's sparsity (√n − ‖w‖₁/‖w‖₂) / (√n − 1): 0 where all magnitudes are equal, 1 for one non-zero.

    Raises:
        ValueError: images of one pixel.
    Source: Hoyer, Non-negative Matrix Factorization with Sparseness Constraints, 2004.
    """
    weights = abs(unit(filters))
    n = prod(weights.shape[-2:])
    if n < 2:
        raise ValueError("Hoyer's sparsity compares two pixels or more, got 1")
    ratio = divide(weights.sum((-2, -1)), np.sqrt((weights**2).sum((-2, -1))))
    return (np.sqrt(n) - ratio) / (np.sqrt(n) - 1)


def gini(filters: np.ndarray) -> Numbers:
    """Gini's index of |w| in ascending order, 1 − 2 Σ_k (|w|_(k) / ‖w‖₁) (n − k + ½) / n, in [0, 1 − 1/n].

    Source: Hurley and Rickard, Comparing Measures of Sparsity, 2009.
    """
    weights = np.sort(abs(unit(filters)).reshape(*np.shape(filters)[:-2], -1), axis=-1)
    n = weights.shape[-1]
    ranks = (n - np.arange(1, n + 1) + 0.5) / n
    return 1 - 2 * divide((weights * ranks).sum(-1), weights.sum(-1))
