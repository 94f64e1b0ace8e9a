"""Whether units share a filter: the shift that aligns two, and how far a matrix is from commuting with shifts."""

from dataclasses import dataclass
from math import prod

import numpy as np

from theory.measures.banks import Numbers, divide, unit


@dataclass(frozen=True)
class Alignment:
    """The best shift of one filter over another.

    Attributes:
        correlation: in [−1, 1], the cosine of the largest magnitude over all shifts.
        shift: `[..., 2]` (rows, columns) by which the second filter is moved.
    """

    correlation: Numbers
    shift: np.ndarray


def align(first: np.ndarray, second: np.ndarray, *, channels: bool = False) -> Alignment:
    """The shift of `second` that best matches `first`, up to sign and scale: argmax |⟨a, shift b⟩| / ‖a‖‖b‖.

    What a shift moves out of the image is lost, as at the border of a convolution with zero padding. Banks broadcast:
    first[:, None] against second[None] gives all pairs.

    Args:
        channels: whether the axis before the image holds channels that move together, summed over.
    """
    a, b = unit(first, channels=channels), unit(second, channels=channels)
    size = tuple(m + n - 1 for m, n in zip(a.shape[-2:], b.shape[-2:], strict=True))
    product = np.fft.rfft2(a, size) * np.fft.rfft2(b, size).conj()
    correlations = np.fft.irfft2(product.sum(-3) if channels else product, size)
    flat = correlations.reshape(*correlations.shape[:-2], -1)
    best = abs(flat).argmax(-1)
    axes = tuple(range(-3 if channels else -2, 0))
    norms = np.sqrt((a**2).sum(axes) * (b**2).sum(axes))
    correlation = divide(np.take_along_axis(flat, best[..., None], axis=-1)[..., 0], norms).clip(-1, 1)
    place = np.stack(np.unravel_index(best, size), axis=-1)
    return Alignment(correlation, place - np.where(place >= np.array(a.shape[-2:]), size, 0))


def commutator(matrix: np.ndarray, spatial: tuple[int, ...], shift: tuple[int, ...], stride: int = 1) -> float:
    """Distance of a matrix from commuting with a circular shift, ‖WT − T′W‖ / ‖W‖ in [0, 2]; 0 if it commutes.

    T shifts the input and T′ = T / stride the output.

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
