"""Where the inputs lie, as a sparse first layer tells it: two inputs are near if they often feed the same units.

The map is the spectral embedding of these counts. It is scored by the share of each input's true neighbours that are
among as many nearest ones on the map, against masks that are shuffled within each unit, and against the map that plain
correlations of the inputs give.
Source: Belkin & Niyogi 2003 (Laplacian eigenmaps); neighbourhood preservation as in Venna & Kaski 2001.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from torch import Tensor

_SHUFFLES = 10


@dataclass(frozen=True)
class InputMap:
    """A map of the places of a grid, and how much of the truth it keeps.

    Attributes:
        coordinates: `[places, 2]` in the order in which the net takes its inputs; nan where no unit sees an input.
        units: units that see two inputs or more, of which the counts are.
        kept: mean share of true neighbours kept, in [0, 1].
        shuffled, deviation: mean and standard deviation of the same for shuffled masks.
        correlations: the same for the map of the squared correlations of the inputs; nan without data.
        chance: of a random map.
    """

    coordinates: Float64[np.ndarray, "places 2"]
    units: int
    kept: float
    shuffled: float
    deviation: float
    correlations: float
    chance: float


def input_map(
    state: Mapping[str, Tensor],
    image: tuple[int, ...],
    *,
    permutation: Tensor | None = None,
    examples: Tensor | None = None,
    seed: int = 0,
) -> InputMap | None:
    """Map the inputs of a net by the masks of its fully-connected first layer.

    Args:
        state: of a net of `lcfs.build`.
        image: (channels, *grid). An input counts once whatever its channels. Signals are taken to lie on a circle.
        permutation: `[places]` that the net was trained with; it is not undone, but used as the truth.
        examples: `[N, *image]` of the training set as it is, for the comparison with correlations.
        seed: of the shuffled masks.

    Returns:
        None unless the first weights are those of a fully-connected layer on the image with zeros among them.
    """
    weight = next((tensor for tensor in state.values() if tensor.ndim >= 2), None)
    if weight is None or weight.ndim != 2 or weight.shape[1] != np.prod(image):
        return None
    masks: np.ndarray = (weight != 0).view(len(weight), image[0], -1).any(1).cpu().numpy()
    several = masks[masks.sum(1) > 1]
    if masks.all() or not len(several):
        return None
    near = _true_neighbours(image[1:], None if permutation is None else permutation.cpu().numpy())
    coordinates = embedded(_counts(several))
    random = np.random.default_rng(seed)
    null = [kept(embedded(_counts(random.permuted(several, axis=1))), near) for _ in range(_SHUFFLES)]
    plain = float("nan")
    if examples is not None:
        plain = kept(embedded(_correlations(examples, permutation)), near)
    chance = float(near.sum(1).mean() / (len(near) - 1))
    found = kept(coordinates, near)
    return InputMap(coordinates, len(several), found, float(np.mean(null)), float(np.std(null)), plain, chance)


def embedded(affinity: Float64[np.ndarray, "n n"], dimensions: int = 2) -> Float64[np.ndarray, "n d"]:
    """Spectral embedding of a symmetric affinity ≥ 0: the eigenvectors of D⁻¹A behind the constant one, by eigenvalue.

    Rows of inputs without affinity are nan.

    >>> ring = np.roll(np.eye(8), 1, 0) + np.roll(np.eye(8), -1, 0)
    >>> np.hypot(*embedded(ring).T).round(3)  # a circle
    array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    """
    degree = affinity.sum(1)
    some = degree > 0
    coordinates = np.full((len(affinity), dimensions), np.nan)
    if some.sum() <= dimensions:
        return coordinates
    root = 1 / np.sqrt(degree[some])
    _, vectors = np.linalg.eigh(root[:, None] * affinity[np.ix_(some, some)] * root)
    behind = vectors[:, -2 : -2 - dimensions : -1]
    coordinates[some] = behind * root[:, None] / np.linalg.norm(root[:, None] * behind, axis=0)
    return coordinates


def kept(coordinates: Float64[np.ndarray, "n d"], near: Bool[np.ndarray, "n n"]) -> float:
    """Mean share of each input's true neighbours among as many nearest ones on a map; nan coordinates keep none.

    >>> line = np.arange(4.0)[:, None]
    >>> kept(line, np.abs(line - line.T) == 1)
    1.0
    """
    distance = np.square(coordinates[:, None] - coordinates[None]).sum(2)
    distance[np.isnan(distance)] = np.inf
    np.fill_diagonal(distance, np.inf)
    shares = []
    for row, truth in zip(distance, near, strict=True):
        nearest = np.argsort(row, kind="stable")[: truth.sum()]
        shares.append((truth[nearest] & np.isfinite(row[nearest])).sum() / max(truth.sum(), 1))
    return float(np.mean(shares))


def _counts(masks: Bool[np.ndarray, "units n"]) -> Float64[np.ndarray, "n n"]:
    """How often two inputs feed the same unit; a unit with many inputs counts as much as one with few."""
    seen = masks.astype(np.float64)
    shared = (seen / (seen.sum(1, keepdims=True) - 1)).T @ seen
    np.fill_diagonal(shared, 0.0)
    return shared


def _correlations(examples: Tensor, permutation: Tensor | None) -> Float64[np.ndarray, "n n"]:
    rows = examples.flatten(2).double().cpu().numpy()
    if permutation is not None:
        rows = rows[..., permutation.cpu().numpy()]
    centred = rows - rows.mean(0)
    covariance = np.einsum("ncp,ncq->pq", centred, centred, optimize=True)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    affinity = np.square(covariance / (deviation[:, None] * deviation))
    np.fill_diagonal(affinity, 0.0)
    return affinity


def _true_neighbours(grid: tuple[int, ...], permutation: np.ndarray | None) -> Bool[np.ndarray, "n n"]:
    """Of a signal the two places on either side, on a circle; of an image the up to eight pixels around."""
    at = np.stack(np.unravel_index(np.arange(int(np.prod(grid))), grid), 1)
    if permutation is not None:
        at = at[permutation]
    apart = np.abs(at[:, None] - at[None])
    if len(grid) == 1:
        apart, reach = np.minimum(apart, grid[0] - apart), 2
    else:
        reach = 1
    near = apart.max(2) <= reach
    np.fill_diagonal(near, False)
    return near
