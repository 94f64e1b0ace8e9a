"""The data sets that have a name, and what is fixed about each: shape, classes, constants of normalization."""

import re
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
_STREAM = re.compile(r"signals:([1-9]\d{0,8}):(0|[1-9]\d{0,9})")
FILE_SUFFIX = ".npz"
"""A data set whose name ends so is a file of one's own."""


def stream_name(samples: int, data_seed: int) -> str:
    """The name of so many signals from the stream of a seed.

    >>> stream_name(400_000, 1)
    'signals:400000:1'
    """
    return f"signals:{samples}:{data_seed}"


def stream_of(name: str) -> tuple[int, int] | None:
    """(samples, data_seed) of such a name, None of any other.

    >>> stream_of("signals:400000:1"), stream_of("signals")
    ((400000, 1), None)
    """
    matched = _STREAM.fullmatch(name)
    return None if matched is None else (int(matched[1]), int(matched[2]))


def is_named(name: str) -> bool:
    """Whether a data set of everyone's has this name: one of `DATASETS`, or `signals:SAMPLES:SEED`."""
    return name in NAMED or stream_of(name) is not None


def check_name(name: str) -> None:
    """Raises InputError unless a data set has this name."""
    if not is_named(name):
        raise InputError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}, and any FILE{FILE_SUFFIX}")
