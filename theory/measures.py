"""Measures of a learned filter: how concentrated, how local, how smooth, and how like its neighbours it is.

Filters are real arrays `[..., height, width]`: one image, or a bank of them along leading axes, which every measure
keeps: `[units, channels, height, width]` → `[units, channels]`. Positions and radii are in pixels, energies are squared
weights. No measure changes with the sign or the scale of a filter. One that is not defined, as of a filter of zeros, is
nan. For several channels at once give the energy measures np.sqrt((w**2).sum(-3)), the root energy at each pixel.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

Numbers = np.ndarray | np.floating  # an array for a bank, a number for one filter


@dataclass(frozen=True)
class Moran:
    """Moran's I of a filter, in about [−1, 1], and its z-score under all permutations of the pixels."""

    index: Numbers
    z_score: Numbers


@dataclass(frozen=True)
class PairDistances:
    """How far apart the non-zero pixels of a filter lie.

    Attributes:
        distances: `[lengths]` the Euclidean distances between two pixels of the image, ascending.
        observed: `[..., lengths]` share of the pairs of non-zero pixels at each distance; nan below two non-zeros.
        random: `[lengths]` the same share, expected, for a random mask of any number of pixels.
    """

    distances: np.ndarray
    observed: np.ndarray
    random: np.ndarray


@dataclass(frozen=True)
class Alignment:
    """The best shift of one filter over another.

    Attributes:
        correlation: in [−1, 1], the cosine of the largest magnitude over all shifts.
        shift: `[..., 2]` (rows, columns) by which the second filter is moved.
    """

    correlation: Numbers
    shift: np.ndarray


def participation_ratio(filters: np.ndarray) -> Numbers:
    """(Σw²)² / Σw⁴: the effective number of pixels, in [1, height · width]."""
    energy = _unit(filters) ** 2
    return _divide(energy.sum((-2, -1)) ** 2, (energy**2).sum((-2, -1)))


def centroid(filters: np.ndarray) -> np.ndarray:
    """`[..., 2]` (row, column) of the centre of energy Σ r w² / Σ w²."""
    energy = _unit(filters) ** 2
    row, column = _grid(energy)
    total = energy.sum((-2, -1))
    return np.stack([_divide((energy * axis).sum((-2, -1)), total) for axis in (row, column)], axis=-1)


def energy_within(filters: np.ndarray, radius: float) -> Numbers:
    """Share of the energy at most `radius` pixels from the centroid, in [0, 1].

    Raises:
        ValueError: a negative radius.
    """
    if not radius >= 0:
        raise ValueError(f"radius must not be negative, got {radius}")
    energy = _unit(filters) ** 2
    inside = _squared_distance(filters) <= radius**2 * (1 + 1e-12)  # a pixel on the circle counts, rounding or not
    return _divide((energy * inside).sum((-2, -1)), energy.sum((-2, -1)))


def radius_of_gyration(filters: np.ndarray) -> Numbers:
    """sqrt(Σ |r − centroid|² w² / Σ w²) in pixels."""
    energy = _unit(filters) ** 2
    return np.sqrt(_divide((energy * _squared_distance(filters)).sum((-2, -1)), energy.sum((-2, -1))))


def smallest_window(filters: np.ndarray, share: float = 0.9) -> Numbers:
    """Side in pixels of the smallest square window that holds this share of the energy.

    A window wider than a side of the image is cut to it.

    Raises:
        ValueError: `share` outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    energy = _unit(filters) ** 2
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


def morans_i(filters: np.ndarray) -> Moran:
    """Moran's I = (n / Σ a_ij) Σ a_ij z_i z_j / Σ z², z = w − mean, a_ij = 1 for pixels that share an edge.

    It separates smooth filters (z-score ≫ 0) from scattered ones (≈ 0). The mean and the variance over all n!
    permutations of the pixels are known in closed form, so that none is drawn.

    Raises:
        ValueError: images of less than 4 pixels.
    Source: Cliff and Ord, Spatial Autocorrelation, 1973 (randomization assumption).
    """
    weights = _unit(filters)
    height, width = weights.shape[-2:]
    n = height * width
    if n < 4:
        raise ValueError(f"Moran's I has a permutation variance from 4 pixels on, got {height} × {width}")
    # A constant filter keeps only rounding here, so that it would pass for noise.
    deviation = np.where(np.ptp(weights, axis=(-2, -1), keepdims=True) > 0, weights, 0.0)
    deviation = deviation - deviation.mean((-2, -1), keepdims=True)
    neighbours = (deviation[..., 1:, :] * deviation[..., :-1, :]).sum((-2, -1))
    neighbours = neighbours + (deviation[..., 1:] * deviation[..., :-1]).sum((-2, -1))
    row, column = _grid(weights)
    degree = (row > 0) * 1 + (row < height - 1) + (column > 0) + (column < width - 1)
    s0, s2 = float(degree.sum()), 4.0 * float((degree**2).sum())
    s1 = 2 * s0
    second, fourth = (deviation**2).mean((-2, -1)), (deviation**4).mean((-2, -1))
    index = _divide(2 * neighbours, s0 * second)
    kurtosis = _divide(fourth, second**2)
    square = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0**2)
    square = square - kurtosis * ((n * n - n) * s1 - 2 * n * s2 + 6 * s0**2)
    mean = -1 / (n - 1)
    variance = square / ((n - 1) * (n - 2) * (n - 3) * s0**2) - mean**2
    # Where all permutations score alike the variance is 0, of which terms near 1 leave their rounding.
    return Moran(index, _divide(index - mean, np.sqrt(np.where(variance > 1e-13, variance, 0.0))))


def hoyer(filters: np.ndarray) -> Numbers:
    """(√n − ‖w‖₁/‖w‖₂) / (√n − 1): 0 where all magnitudes are equal, 1 for one non-zero. Source: Hoyer 2004.

    Raises:
        ValueError: images of one pixel.
    """
    weights = abs(_unit(filters))
    n = prod(weights.shape[-2:])
    if n < 2:
        raise ValueError("Hoyer's sparsity compares two pixels or more, got 1")
    ratio = _divide(weights.sum((-2, -1)), np.sqrt((weights**2).sum((-2, -1))))
    return (np.sqrt(n) - ratio) / (np.sqrt(n) - 1)


def gini(filters: np.ndarray) -> Numbers:
    """1 − 2 Σ_k (|w|_(k) / ‖w‖₁) (n − k + ½) / n, |w|_(1) ≤ … ≤ |w|_(n); in [0, 1 − 1/n].

    Source: Hurley and Rickard, Comparing Measures of Sparsity, 2009.
    """
    weights = np.sort(abs(_unit(filters)).reshape(*np.shape(filters)[:-2], -1), axis=-1)
    n = weights.shape[-1]
    ranks = (n - np.arange(1, n + 1) + 0.5) / n
    return 1 - 2 * _divide((weights * ranks).sum(-1), weights.sum(-1))


def pair_distances(filters: np.ndarray) -> PairDistances:
    """Distribution of the distance between two connected (non-zero) pixels, against a random mask.

    A random mask of any size holds all pairs of pixels equally often, so that its expectation is the distribution over
    all pairs of the image.

    Raises:
        ValueError: images of one pixel.
    """
    mask = np.asarray(filters) != 0
    height, width = mask.shape[-2:]
    if height * width < 2:
        raise ValueError("distances need two pixels or more, got an image of 1")
    size = (2 * height - 1, 2 * width - 1)
    row, column = (np.fft.fftfreq(side, 1 / side) for side in size)
    lengths, which = np.unique(np.rint(row[:, None] ** 2 + column**2).astype(int), return_inverse=True)
    hits = which.reshape(-1, 1) == np.arange(len(lengths))

    def shares(one: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft2(one, size)
        pairs = np.rint(np.fft.irfft2(abs(spectrum) ** 2, size))  # counts of pairs at each displacement: integers
        counts = (pairs.reshape(*one.shape[:-2], -1) @ hits)[..., 1:]  # without each pixel's pair with itself
        return _divide(counts, counts.sum(-1, keepdims=True))

    return PairDistances(np.sqrt(lengths[1:]), shares(mask), shares(np.ones((height, width), dtype=bool)))


def align(first: np.ndarray, second: np.ndarray, *, channels: bool = False) -> Alignment:
    """The shift of `second` that best matches `first`, up to sign and scale: argmax |⟨a, shift b⟩| / ‖a‖‖b‖.

    What a shift moves out of the image is lost, as at the border of a convolution with zero padding. Banks broadcast:
    first[:, None] against second[None] gives all pairs.

    Args:
        channels: whether the axis before the image holds channels that move together, summed over.
    """
    a, b = _unit(first, channels=channels), _unit(second, channels=channels)
    size = tuple(m + n - 1 for m, n in zip(a.shape[-2:], b.shape[-2:], strict=True))
    product = np.fft.rfft2(a, size) * np.fft.rfft2(b, size).conj()
    correlations = np.fft.irfft2(product.sum(-3) if channels else product, size)
    flat = correlations.reshape(*correlations.shape[:-2], -1)
    best = abs(flat).argmax(-1)
    axes = tuple(range(-3 if channels else -2, 0))
    norms = np.sqrt((a**2).sum(axes) * (b**2).sum(axes))
    correlation = _divide(np.take_along_axis(flat, best[..., None], axis=-1)[..., 0], norms).clip(-1, 1)
    place = np.stack(np.unravel_index(best, size), axis=-1)
    return Alignment(correlation, place - np.where(place >= np.array(a.shape[-2:]), size, 0))


def commutator(matrix: np.ndarray, spatial: tuple[int, ...], shift: tuple[int, ...], stride: int = 1) -> float:
    """‖WT − T′W‖ / ‖W‖ in [0, 2] for the circular shift T of the input, T′ = T / stride of the output; 0 if W commutes.

    Args:
        matrix: W `[outputs · positions, inputs · pixels]`, dense, channel-major, with spatial / stride positions.
        spatial: sides of the input image.
        shift: pixels along each side, multiples of `stride`.

    Raises:
        ValueError: sides or shifts that the stride does not divide, or a matrix that does not fit.
    """
    if stride < 1 or len(shift) != len(spatial) or any(number % stride for number in (*spatial, *shift)):
        raise ValueError(f"stride {stride} must divide each of the sides {spatial} and shifts {shift}")
    out = tuple(side // stride for side in spatial)
    if matrix.ndim != 2 or any(m % prod(n) for m, n in zip(matrix.shape, (out, spatial), strict=True)):
        raise ValueError(f"a matrix of shape {matrix.shape} does not map images {spatial} to images {out}")
    axes = tuple(range(2 * len(spatial) + 1))
    moved = (*(step // stride for step in shift), 0, *shift)
    difference = total = 0.0
    for rows in matrix.reshape(-1, *out, matrix.shape[1] // prod(spatial), *spatial):  # one output channel at a time
        difference += float(((rows - np.roll(rows, moved, axes)).astype(np.float64) ** 2).sum())
        total += float((rows.astype(np.float64) ** 2).sum())
    return float(np.sqrt(difference / total)) if total > 0 else float("nan")


def _unit(filters: np.ndarray, *, channels: bool = False) -> np.ndarray:
    """The filters in float64 with their largest magnitude scaled to [1/2, 1), so that no power over- or underflows."""
    weights = np.asarray(filters, dtype=np.float64)
    if weights.ndim < 2 + channels or 0 in weights.shape[-2:]:
        raise ValueError(f"filters must be [..., height, width], got the shape {weights.shape}")
    axes = tuple(range(-3 if channels else -2, 0))
    _, exponent = np.frexp(abs(weights).max(axes, keepdims=True))
    return np.ldexp(weights, -exponent)  # a power of two: exact


def _divide(numerator: Numbers, denominator: Numbers) -> np.ndarray:
    """The quotient, nan where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def _grid(filters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`[height, 1]` rows and `[width]` columns."""
    height, width = filters.shape[-2:]
    return np.arange(height)[:, None], np.arange(width)


def _squared_distance(filters: np.ndarray) -> np.ndarray:
    """`[..., height, width]` squared distance of each pixel from the centroid."""
    row, column = _grid(np.asarray(filters))
    middle = centroid(filters)[..., None, None, :]
    return (row - middle[..., 0]) ** 2 + (column - middle[..., 1]) ** 2
