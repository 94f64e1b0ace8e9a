"""A bank of filters as numbers that neither over- nor underflow, and quotients of them."""

import numpy as np

Numbers = np.ndarray | np.floating
"""An array for a bank of filters, a number for one filter."""


def unit(filters: np.ndarray, *, channels: bool = False) -> np.ndarray:
    """The filters in float64 with their largest magnitude scaled to [1/2, 1), so that no power over- or underflows."""
    weights = np.asarray(filters, dtype=np.float64)
    if weights.ndim < 2 + channels or 0 in weights.shape[-2:]:
        raise ValueError(f"filters must be [..., height, width], got the shape {weights.shape}")
    axes = tuple(range(-3 if channels else -2, 0))
    _, exponent = np.frexp(abs(weights).max(axes, keepdims=True))
    return np.ldexp(weights, -exponent)  # a power of two: exact


def divide(numerator: Numbers, denominator: Numbers) -> np.ndarray:
    """The quotient, nan where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def grid(filters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[height, 1]` rows and `[width]` columns."""
    height, width = filters.shape[-2:]
    return np.arange(height)[:, None], np.arange(width)
