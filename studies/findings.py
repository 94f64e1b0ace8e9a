"""Numbers in words, for the sentence in which a study says what it found."""

import math
from collections.abc import Callable, Mapping, Sequence

from studies.records import Estimate, Record, estimate

Rows = Mapping[str, Sequence[Record]]


def accuracy(runs: Sequence[Record]) -> Estimate:
    """Test accuracy in per cent."""
    return estimate(100 * run.metrics["final/test_accuracy"] for run in runs)


def density(runs: Sequence[Record]) -> Estimate:
    """Non-zero weights in per cent of all."""
    return estimate(100 * run.metrics["final/nonzeros"] / run.metrics["final/weights"] for run in runs)


def gain(
    runs: Sequence[Record], others: Sequence[Record], of: Callable[[Sequence[Record]], Estimate] = accuracy
) -> str:
    """What `runs` have more than `others`, with the standard error of the difference unless n = 1.

    >>> from studies.records import estimate
    >>> gain([1, 2, 3], [1, 1, 1], of=estimate)
    '+1.00 ± 0.58'
    """
    ours, theirs = of(runs), of(others)
    error = math.hypot(ours.standard_error, theirs.standard_error)
    return f"{ours.mean - theirs.mean:+.2f}" + ("" if math.isnan(error) else f" ± {error:.2f}")


def core_minutes(rows: Rows) -> float:
    """What the epochs of all runs took, times the threads of each."""
    runs = {run.name: run for group in rows.values() for run in group}.values()
    return sum(sum(run.epochs["train/seconds"]) * run.environment["threads"] for run in runs) / 60
