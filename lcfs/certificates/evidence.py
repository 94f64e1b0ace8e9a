"""What a certificate is about: a sample, and how many of its images a predictor gets wrong."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lcfs.data import Dataset, ImageSet
from lcfs.descriptions.balls import Ball
from lcfs.descriptions.encoded import Decoded
from lcfs.descriptions.predictor import Predictor

_BATCH = 100


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
def count_errors(decoded: Decoded, images: ImageSet, *, caution: float = 1.0) -> int:
    """Number of images that the net may get wrong in exact arithmetic: each once, as it is, in evaluation mode.

    An image is right only if the logit of its label exceeds every other by more than the bounds on the rounding of
    both; ties, infinities and NaN are wrong. So the number is at least that of the errors of the exact, real-valued
    net, a function of one image, whatever the batch, the number of threads or the machine.

    Args:
        caution: how many times these bounds the margin must be. What was counted with 4 is never exceeded by what
            another machine counts with 1, whose logits lie within the same bounds of the exact ones.
    """
    logits = decoded.predictor.logits(decoded.net())
    batches = zip(images.images.split(_BATCH), images.labels.split(_BATCH), strict=True)
    return sum(int((~_right(logits(x), y, caution)).sum()) for x, y in batches)


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
