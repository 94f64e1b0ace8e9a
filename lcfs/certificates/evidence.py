"""What a certificate is about: a sample, and how many of its images a predictor gets wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lcfs.data import Dataset, ImageSet
from lcfs.data.pins import PINNED
from lcfs.descriptions.balls import Ball
from lcfs.descriptions.encoded import Decoded
from lcfs.descriptions.predictor import Predictor
from lcfs.errors import InputError

_BATCH = 100


@dataclass(frozen=True)
class Sample:
    """The images that a bound speaks of: a whole split of a data set, its size m and the sha256 of images and labels.

    Nothing chooses among its images: not a seed, not the size of a validation set.
    """

    data: str
    split: str
    images: int
    sha256: str

    @classmethod
    def of(cls, dataset: Dataset, split: str) -> "Sample":
        """The sample in memory.

        Raises: InputError if images were set aside, or if a known name stands for other data than it should.
        """
        if len(dataset.validation):
            raise InputError(
                f"{len(dataset.validation):,} images of {dataset.name} were set aside, and which ones is billed "
                "nowhere; certify on the whole training set, which is as valid a sample"
            )
        images: ImageSet = getattr(dataset, split)
        sample = cls(dataset.name, split, len(images), images.fingerprint())
        if sample.pinned not in (None, sample.sha256):
            raise InputError(
                f"the {split} images named {dataset.name} are not the ones of that name: their sha256 is "
                f"{sample.sha256}, expected {sample.pinned}; restore the data set's files"
            )
        return sample

    @property
    def pinned(self) -> str | None:
        """The sha256 that a split of this name has, or None if none is known."""
        return PINNED.get((self.data, self.split))


@torch.no_grad()
def count_errors(decoded: Decoded, images: ImageSet, cautions: Sequence[float] = (1.0,)) -> list[int]:
    """Numbers of images that the net may get wrong in exact arithmetic: each once, as it is, in evaluation mode.

    An image is right only if the logit of its label exceeds every other by more than the bounds on the rounding of
    both; ties, infinities and NaN are wrong. So the number is at least that of the errors of the exact, real-valued
    net, a function of one image, whatever the batch, the number of threads or the machine.

    Args:
        cautions: how many times these bounds the margin must be, one number for each. What was counted with 4 lies on
            every other machine, whose logits are as near the exact ones, between what it counts with 1 and with 16.
    """
    logits = decoded.predictor.logits(decoded.net())
    batches = zip(images.images.split(_BATCH), images.labels.split(_BATCH), strict=True)
    wrong = [0] * len(cautions)
    for x, y in batches:
        ball = logits(x)
        wrong = [so_far + int((~_right(ball, y, c)).sum()) for so_far, c in zip(wrong, cautions, strict=True)]
    return wrong


@torch.no_grad()
def compare_errors(decoded: Decoded, images: ImageSet) -> int:
    """Number of images that the net gets wrong in float32, several times faster: for comparing candidates alone."""
    net = decoded.net().float()
    batches = zip(images.images.split(_BATCH), images.labels.split(_BATCH), strict=True)
    return sum(int((net(_seen(decoded.predictor, x)).argmax(1) != y).sum()) for x, y in batches)


def _right(logits: Ball, labels: Tensor, caution: float) -> Tensor:
    """Which labels win by more than the bounds, bool `[b]`; a comparison with NaN is false.

    Two numbers of an image in a ball of radius r move apart by at most √2 r.
    """
    label = labels[:, None]
    margins = logits.center.gather(1, label) - logits.center.scatter(1, label, -torch.inf)
    return (margins > 1.5 * caution * logits.radius[:, None]).all(1)


def _seen(predictor: Predictor, images: Tensor) -> Tensor:
    """What the net sees, floats in float32; integers stay as they are."""
    seen = predictor.inputs(images)
    return seen.float() if seen.is_floating_point() else seen
