"""What the first layer of a trained net looks at: measures of its filters, and how near the layer is to a convolution.

Units of S-FC, D-FC and 3-FC have no place and no channel; they are compared with the convolution that the layer
replaced (3-FC with S-CONV's), modulo permutation, sign and scale of units. Beside every number stands the same number
after one fixed permutation of all pixels, which keeps everything but where things are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lcfs.analysis.filter_images import filter_images, first_weight
from lcfs.config import Architecture
from lcfs.nets.convolutions import replaced_by
from theory import measures
from theory.nearest_convolution import Match, nearest_convolution
from theory.operators import Convolution

LEAST_NONZEROS = {1: 3, 2: 20}
"""By number of axes: filters with fewer non-zeros are left out of the measures. Source: paper, Figure 4, for images; of
three samples a distance between inputs says something."""

_LARGEST = 2000  # filters that are measured, drawn at random


@dataclass(frozen=True)
class Measure:
    """10 %, 50 % and 90 % quantiles over filters, and the median with the pixels permuted."""

    name: str
    quantiles: tuple[float, float, float]
    permuted: float


@dataclass(frozen=True)
class FirstLayer:
    """The filters of a first layer and what was measured on them.

    Attributes:
        name: of the weight tensor.
        filters: `[units, channels, height, width]` as images, those of signals of height 1; of a LOCAL or CONV layer
            its windows.
        measured: how many filters with `LEAST_NONZEROS` or more the measures are of.
        measures: see `theory.measures`; empty if no filter has so many non-zeros.
        convolution: what an FC layer is compared with, else None.
        match, permuted: the nearest convolution, and that of the layer with its pixels permuted; None but for FC.
    """

    name: str
    filters: np.ndarray
    measured: int
    measures: tuple[Measure, ...]
    convolution: Convolution | None
    match: Match | None
    permuted: Match | None


def first_layer(
    architecture: Architecture,
    state: Mapping[str, Tensor],
    image: tuple[int, ...],
    *,
    permutation: Tensor | None = None,
    seed: int = 0,
) -> FirstLayer:
    """Measure the first weight tensor of a net of `lcfs.build`.

    Args:
        architecture: one of `lcfs.ARCHITECTURES`.
        state: its state dict.
        image: (channels, height, width), or (channels, length) of a signal.
        permutation: `[places]` of the pixels that the net was trained with, undone in an FC layer's filters.
        seed: of the sample of filters and of the permutation of pixels.

    Raises:
        InputError: the state dict has no weights, or its first one does not fit the image.
    """
    name, weight = first_weight(state)
    filters = filter_images(state, image, permutation=permutation).numpy()
    rng = np.random.default_rng(seed)
    if len(image) == 2:  # a signal is an image of one row
        filters = filters[:, :, None]
    order = rng.permutation(filters[0, 0].size)
    if weight.ndim != 2:
        return _measured(name, filters, order, rng, None, None, None)
    moved = filters.reshape(*filters.shape[:2], -1)[..., order].reshape(filters.shape)
    convolution = replaced_by(architecture, len(weight), image)
    matches = [nearest_convolution(x.reshape(weight.shape), convolution, seed=seed) for x in (filters, moved)]
    return _measured(name, filters, order, rng, convolution, *matches)


def _measured(
    name: str,
    filters: np.ndarray,
    order: np.ndarray,
    rng: np.random.Generator,
    convolution: Convolution | None,
    match: Match | None,
    permuted: Match | None,
) -> FirstLayer:
    least = LEAST_NONZEROS[1 if filters.shape[-2] == 1 else 2]
    enough = np.flatnonzero(np.count_nonzero(filters.reshape(len(filters), -1), axis=1) >= least)
    chosen = filters[np.sort(rng.permutation(enough)[:_LARGEST])].astype(np.float64)
    found: tuple[Measure, ...] = ()
    if len(chosen) and chosen[0, 0].size > 3:
        moved = chosen.reshape(*chosen.shape[:2], -1)[..., order].reshape(chosen.shape)
        here, there = _values(chosen), _values(moved)
        found = tuple(
            Measure(name, _quantiles(values), float(np.nanmedian(there[name]))) for name, values in here.items()
        )
    return FirstLayer(name, filters, len(chosen), found, convolution, match, permuted)


def _quantiles(values: np.ndarray) -> tuple[float, float, float]:
    low, median, high = np.nanquantile(values, (0.1, 0.5, 0.9))
    return float(low), float(median), float(high)


def _values(filters: np.ndarray) -> dict[str, np.ndarray]:
    """One number a filter, for energy over the channels, or a mean over the channels that are not constant."""
    energy = np.sqrt((filters**2).sum(1))
    smoothness = np.asarray(measures.morans_i(filters).z_score)
    known = ~np.isnan(smoothness)
    return {
        "radius of gyration, px": np.asarray(measures.radius_of_gyration(energy)),
        "window with 90 % of the energy, px": np.asarray(measures.smallest_window(energy)),
        "participation ratio, px": np.asarray(measures.participation_ratio(energy)),
        "Moran's I, z-score": np.where(known, smoothness, 0).sum(1) / np.maximum(known.sum(1), 1),
        "Hoyer": np.asarray(measures.hoyer(energy)),
        "Gini": np.asarray(measures.gini(energy)),
    }
