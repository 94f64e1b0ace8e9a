"""The data sets that have a name, and what is fixed about each: shape, classes, constants of normalization."""

from dataclasses import dataclass

from lcfs.errors import InputError


@dataclass(frozen=True)
class Facts:
    """What a net and a description of it have to know about a data set.

    Attributes:
        image: (channels, *grid) of one example, e.g. (3, 32, 32) or, of a signal, (1, 40).
        classes: number of classes, ≥ 2.
        mean, std: per channel of the training set; of bytes scaled to [0, 1], of floats as they are.
        bytes: whether examples are uint8 in 0…255; else they are float32.
    """

    image: tuple[int, ...]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bytes: bool = True


# Mean and standard deviation: the constants in common use, so that results compare; those of digits computed here
# from its 1,437 training images. Signals are standardized where they are made.
NAMED = {
    "signals": Facts((1, 40), 10, (0.0,), (1.0,), bytes=False),
    "digits": Facts((1, 8, 8), 10, (0.3054,), (0.3757,)),
    "cifar10": Facts((3, 32, 32), 10, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": Facts((3, 32, 32), 100, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "svhn": Facts((3, 32, 32), 10, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
DATASETS = tuple(NAMED)
FILE_SUFFIX = ".npz"
"""A data set whose name ends so is a file of one's own."""


def check_name(name: str) -> None:
    """Raises InputError unless a data set has this name."""
    if name not in NAMED:
        raise InputError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}, and any FILE{FILE_SUFFIX}")
