"""What a certificate is about: a sample, and how many of its images a predictor gets wrong."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from lcfs.data import Dataset, ImageSet

_BATCH = 500


@runtime_checkable
class Sees(Protocol):
    """Anything that knows how a net is shown an image."""

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 `[b, c, h, w]` → what the net sees."""


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
def count_errors(net: nn.Module, sees: Sees, images: ImageSet, dtype: torch.dtype = torch.float64) -> int:
    """Number of images that the net gets wrong: each once, as it is, one after the other, in evaluation mode.

    In float64: its rounding, which may differ from machine to machine, moves logits by some 1e-13, so that only an
    image whose two best logits agree to that precision could be counted otherwise elsewhere. float32, several times
    faster, is for comparing candidates.
    """
    net.eval().to(dtype)
    batches = zip(images.images.split(_BATCH), images.labels.split(_BATCH), strict=True)
    return sum(int((net(_seen(sees, x, dtype)).argmax(1) != y).sum()) for x, y in batches)


def _seen(sees: Sees, images: Tensor, dtype: torch.dtype) -> Tensor:
    """What the net sees, in this precision; integers stay as they are."""
    seen = sees.inputs(images)
    return seen.to(dtype) if seen.is_floating_point() else seen
