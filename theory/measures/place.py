"""Where the energy of a filter lies, and in how small a part of the image."""

import numpy as np

from theory.measures.banks import Numbers, divide, grid, unit


def centroid(filters: np.ndarray) -> np.ndarray:
    """Centre of energy Σ r w² / Σ w², `[..., 2]` (row, column)."""
    energy = unit(filters) ** 2
    row, column = grid(energy)
    total = energy.sum((-2, -1))
    return np.stack([divide((energy * axis).sum((-2, -1)), total) for axis in (row, column)], axis=-1)


def energy_within(filters: np.ndarray, radius: float) -> Numbers:
    """Share of the energy at most `radius` pixels from the centroid, in [0, 1].

    Raises:
        ValueError: a negative radius.
    """
    if not radius >= 0:
        raise ValueError(f"radius must not be negative, got {radius}")
    energy = unit(filters) ** 2
    inside = _squared_distance(filters) <= radius**2 * (1 + 1e-12)  # a pixel on the circle counts, rounding or not
    return divide((energy * inside).sum((-2, -1)), energy.sum((-2, -1)))


def radius_of_gyration(filters: np.ndarray) -> Numbers:
    """Radius of gyration sqrt(Σ |r − centroid|² w² / Σ w²) in pixels."""
    energy = unit(filters) ** 2
    return np.sqrt(divide((energy * _squared_distance(filters)).sum((-2, -1)), energy.sum((-2, -1))))


def smallest_window(filters: np.ndarray, share: float = 0.9) -> Numbers:
    """Side in pixels of the smallest square window that holds this share of the energy.

    A window wider than a side of the image is cut to it.

    Raises:
        ValueError: `share` outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    energy = unit(filters) ** 2
    height, width = energy.shape[-2:]
    edges = ((0, 0),) * (energy.ndim - 2) + ((1, 0), (1, 0))
    sums = np.pad(energy, edges).cumsum(-2).cumsum(-1)
    # Sums of all windows are differences of these; the slack covers their rounding, 1e-16 for each pixel.
    wanted = share * sums[..., -1, -1] * (1 - 1e-12)
    side = np.full(energy.shape[:-2], np.nan)
    for k in range(max(height, width), 0, -1):
        a, b = min(k, height), min(k, width)
        windows = sums[..., a:, b:] - sums[..., :-a, b:] - sums[..., a:, :-b] + sums[..., :-a, :-b]
        side = np.where(windows.max((-2, -1)) >= wanted, float(k), side)
    return np.where(sums[..., -1, -1] > 0, side, np.nan)


def _squared_distance(filters: np.ndarray) -> np.ndarray:
    """`[..., height, width]` squared distance of each pixel from the centroid."""
    row, column = grid(np.asarray(filters))
    middle = centroid(filters)[..., None, None, :]
    return (row - middle[..., 0]) ** 2 + (column - middle[..., 1]) ** 2
