"""Numbers in words, for the sentence in which a study says what it found."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from studies.engine.records import Estimate, Record, estimate

Rows = Mapping[str, Sequence[Record]]


def accuracy(runs: Iterable[Record], split: str = "test") -> Estimate:
    """Of the finished nets on "test" or "train" images as they are, without augmentation, in percent."""
    if split == "test":
        return estimate(100 * run.metrics["final/test_accuracy"] for run in runs)
    return estimate(100 - 100 * run.metrics["final/train_error"] for run in runs)


def density(runs: Iterable[Record]) -> Estimate:
    """Weights that are not zero, in percent."""
    return estimate(100 * run.metrics["final/nonzeros"] / run.metrics["final/weights"] for run in runs)


def mean_of(runs: Iterable[Record], metric: str) -> Estimate:
    """A metric of the summaries, such as `final/weights`, over runs."""
    return estimate(run.metrics[metric] for run in runs)


def gain(
    runs: Sequence[Record], others: Sequence[Record], of: Callable[[Sequence[Record]], Estimate] = accuracy
) -> str:
    """What `runs` have more than `others`, with the standard error of the difference unless n = 1.

    >>> from studies.engine.records import estimate
    >>> gain([1, 2, 3], [1, 1, 1], of=estimate)
    '+1.00 ± 0.58'
    """
    ours, theirs = of(runs), of(others)
    error = math.hypot(ours.standard_error, theirs.standard_error)
    return signed(Estimate(min(ours.n, theirs.n), ours.mean - theirs.mean, error))


def signed(difference: Estimate) -> str:
    """A difference with its sign and, unless n = 1, its standard error.

    >>> signed(Estimate(3, -0.5, 0.25))
    '−0.50 ± 0.25'
    """
    mean = f"{difference.mean:+.2f}".replace("-", "−")
    return mean if math.isnan(difference.standard_error) else f"{mean} ± {difference.standard_error:.2f}"


def core_minutes(rows: Rows) -> float:
    """What the epochs of all runs took, times the threads of each."""
    runs = {run.name: run for group in rows.values() for run in group}.values()
    return sum(sum(run.epochs["train/seconds"]) * run.environment["threads"] for run in runs) / 60
