"""How far apart the pixels that a filter connects lie, against those of a random mask."""

from dataclasses import dataclass

import numpy as np

from theory.measures.banks import divide


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
        return divide(counts, counts.sum(-1, keepdims=True))

    return PairDistances(np.sqrt(lengths[1:]), shares(mask), shares(np.ones((height, width), dtype=bool)))
