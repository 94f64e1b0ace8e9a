"""How local the masks of a fully-connected first layer are: which pixels its units still see, whatever the weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lcfs.analysis.first_layer import LEAST_NONZEROS
from theory import measures

_LARGEST = 2000  # units that are measured, drawn at random


@dataclass(frozen=True)
class MaskLocality:
    """Median radius of gyration in pixels of the masks of some units, and of random masks of as many weights each."""

    units: int
    radius: float
    random: float


def mask_locality(
    state: Mapping[str, Tensor], image: tuple[int, ...], *, permutation: Tensor | None = None, seed: int = 0
) -> MaskLocality | None:
    """Of the units with `LEAST_NONZEROS` or more; a pixel counts once for each channel seen.

    Args:
        state: of a net of `lcfs.build`.
        image: (channels, height, width), or (channels, length) of a signal.
        permutation: `[places]` of the pixels that the net was trained with, undone first.
        seed: of the sample of units and of the random masks.

    Returns:
        None unless the first weights are those of a fully-connected layer on the image with zeros among them, and some
        unit has enough weights left.
    """
    weight = next((tensor for tensor in state.values() if tensor.ndim >= 2), None)
    if weight is None or weight.ndim != 2 or weight.shape[1] != np.prod(image):
        return None
    masks = (weight != 0).cpu().numpy()
    enough = np.flatnonzero(masks.sum(1) >= LEAST_NONZEROS[len(image) - 1])
    if not len(enough) or masks.all():
        return None
    rng = np.random.default_rng(seed)
    chosen = masks[np.sort(rng.permutation(enough)[:_LARGEST])]
    shuffled = rng.permuted(chosen, axis=1)
    if permutation is not None:
        order = np.argsort(permutation.cpu().numpy())
        chosen = chosen.reshape(len(chosen), image[0], -1)[..., order]
    return MaskLocality(len(chosen), _radius(chosen, image), _radius(shuffled, image))


def _radius(masks: np.ndarray, image: tuple[int, ...]) -> float:
    grid = image[1:] if len(image) == 3 else (1, *image[1:])
    seen = masks.reshape(-1, image[0], *grid).sum(1)  # [units, height, width], channels that see a pixel
    return float(np.median(measures.radius_of_gyration(np.sqrt(seen))))
