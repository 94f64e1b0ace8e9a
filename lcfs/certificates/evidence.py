"""What a certificate is about: a sample, and how many of its images a predictor gets wrong."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lcfs.data import Dataset, ImageSet
from lcfs.descriptions.encoded import Decoded
from lcfs.descriptions.predictor import Predictor

_BATCH = 500


@dataclass(frozen=True)
class Sample:
    """The images that a bound speaks of: a split of a data set, its size m and the sha256 of its pixels and labels.

    `validation` images, drawn by `seed`, are not among the training images.
    """

    data: str
    split: str
    validation: int
    seed: int
    images: int
    sha256: str

    @classmethod
    def of(cls, dataset: Dataset, split: str, validation: int, seed: int) -> "Sample":
        """The sample in memory."""
        images: ImageSet = getattr(dataset, split)
        return cls(dataset.name, split, validation, seed, len(images), images.fingerprint())


@torch.no_grad()
def count_errors(decoded: Decoded, images: ImageSet, dtype: torch.dtype = torch.float64) -> int:
    """Number of images that the net gets wrong: each once, as it is, one after the other, in evaluation mode.

    In float64: its rounding, which may differ from machine to machine, moves logits by some 1e-13, so that only an
    image whose two best logits agree to that precision could be counted otherwise elsewhere. float32, several times
    faster, is for comparing candidates.
    """
    net = decoded.net().to(dtype)
    batches = zip(images.images.split(_BATCH), images.labels.split(_BATCH), strict=True)
    return sum(int((net(_seen(decoded.predictor, x, dtype)).argmax(1) != y).sum()) for x, y in batches)


def _seen(predictor: Predictor, images: Tensor, dtype: torch.dtype) -> Tensor:
    """What the net sees, in this precision; integers stay as they are."""
    seen = predictor.inputs(images)
    return seen.to(dtype) if seen.is_floating_point() else seen
