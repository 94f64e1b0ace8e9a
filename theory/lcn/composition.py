"""A linear convolutional network as a product of polynomials.

Layer l takes x to y_i = Σ_j w_j x_{i·s_l + j}. The layers together are one such layer with stride s_1 … s_L, and with
p_l the polynomial whose coefficients, from low to high degree, are the filter of layer l, its filter is

P(x) = Π_l p_l(x^{S_l}),  S_1 = 1,  S_l = s_1 … s_{l−1},  of size k = 1 + Σ_l (k_l − 1) S_l.

The last stride moves the outputs only: it does not enter P.
Source: Kohn, Merkh, Montúfar, Trager, arXiv 2108.01538, section 2 (there from high to low degree).
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Coefficients = Sequence[Any] | np.ndarray  # of one polynomial or filter, from low to high degree


def layer_steps(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> tuple[int, ...]:
    """Steps S_1 … S_L of the layers: filter l is a polynomial in x^{S_l}.

    Args:
        filter_sizes: k_1 … k_L, L ≥ 1, each at least 1.
        strides: s_1 … s_L, each at least 1; the last may be left out; all 1 if None.
    Raises: ValueError for sizes or strides out of range, or not as many strides as layers.
    """
    if len(filter_sizes) == 0 or min(filter_sizes) < 1:
        raise ValueError(f"filter_sizes must be non-empty and at least 1 each, got {tuple(filter_sizes)}")
    layers = len(filter_sizes)
    if strides is None:
        return (1,) * layers
    if len(strides) not in (layers - 1, layers) or min(strides, default=1) < 1:
        raise ValueError(f"strides must be {layers} (or {layers - 1}) integers of at least 1, got {tuple(strides)}")
    return tuple(math.prod(strides[:layer]) for layer in range(layers))


def composed_size(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> int:
    """Size k = 1 + Σ (k_l − 1) S_l of the composed filter. Arguments and Raises as in `layer_steps`.

    >>> composed_size((3, 2), (2, 1))
    5
    """
    steps = layer_steps(filter_sizes, strides)
    return 1 + sum((size - 1) * step for size, step in zip(filter_sizes, steps, strict=True))


def compose(filters: Sequence[Coefficients], strides: Sequence[int] | None = None) -> tuple[Any, ...]:
    """The coefficients of P = Π p_l(x^{S_l}), from low to high degree: the filter of the whole network.

    Args:
        filters: w_1 … w_L, the first is applied first. Entries may be of any kind that adds and multiplies: ints and
            Fractions stay exact, floats stay floats.
        strides: as in `layer_steps`.
    Returns: k coefficients. Raises: ValueError as in `layer_steps`, or for filters that are not one-dimensional.

    >>> compose([(1, 1), (2, 3)], (2, 1))
    (2, 2, 3, 3)
    """
    parts = [_entries(w) for w in filters]
    steps = layer_steps([len(w) for w in parts], strides)
    product = parts[0]
    for part, step in zip(parts[1:], steps[1:], strict=True):
        longer = [0] * (len(product) + (len(part) - 1) * step)
        for (i, a), (j, b) in itertools.product(enumerate(product), enumerate(part)):
            longer[i + j * step] += a * b
        product = longer
    return tuple(product)


def _entries(w: Coefficients) -> list[Any]:
    if np.ndim(w) != 1:
        raise ValueError(f"a filter must be one-dimensional, got {np.ndim(w)} dimensions")
    return w.tolist() if isinstance(w, np.ndarray) else list(w)  # Python's integers do not overflow
