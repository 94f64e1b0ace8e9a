"""`lcfs.bound`: description lengths and generalization bounds of any checkpoint, by one call."""

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from lcfs.analysis.counts import summarize_state
from lcfs.descriptions.counted import Report, report
from lcfs.descriptions.files import described_numbers, read_net, refuse_partial
from lcfs.errors import InputError


def bound(
    checkpoint: str | Path | Mapping[str, Tensor],
    *,
    train_error: float,
    samples: int,
    delta: float = 0.05,
    classes: int | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Report:
    """Description lengths and generalization bounds of a checkpoint, without its architecture.

    With probability 1 − δ over the training examples the error on new ones is at most `value` of every bound, provided
    that names and shapes of the tensors were fixed before the data were seen.

    Args:
        checkpoint: a state dict in memory, a file of any kind that `lcfs.load_state` reads (its code is never run), or
            a run directory, of which the newest checkpoint is taken.
        train_error: share in [0, 1] of the training examples that the net gets wrong, without augmentation and in
            evaluation mode.
        samples: number of training examples, ≥ 1.
        delta: probability in (0, 1) with which the bounds may fail; fixed before the data were seen.
        classes: number of classes, ≥ 2; a bound no better than guessing among them is marked vacuous.
        on_progress: called with the share in [0, 1] of the entries that are counted; it takes long for 10^8 weights.

    Returns:
        Counts, the length in bits in each language, and the bounds on the error, each in [train_error, 1].

    Raises:
        InputError: a file that cannot be read, holds no tensors or more than was read of it, entries that are not a
            number, a value out of range.
    Source: paper, Theorems 1 and 2; Occam bounds of `theory.bounds`.

    >>> import torch
    >>> weight = torch.zeros(10, 1000)
    >>> weight[:, 0] = 0.5
    >>> found = bound({"fc.weight": weight}, train_error=0.1, samples=50_000, classes=10)
    >>> found.nonzeros, found.distinct_values
    (10, 1)
    >>> [f"{b.value:.3f}" for b in found.bounds if (b.language, b.bound) == ("best", "occam_kl")]
    ['0.121']
    """
    _check(train_error, samples, delta, classes)
    numbers, shapes_from_data = checkpoint, False
    if not isinstance(numbers, Mapping):
        path = Path(numbers)
        state = read_net(path)
        refuse_partial(path, state)
        numbers, shapes_from_data = described_numbers(state), state.shapes_from_data
    summary = summarize_state(numbers, on_progress=on_progress)
    return report(
        summary,
        train_error=train_error,
        samples=samples,
        delta=delta,
        classes=classes,
        shapes_from_data=shapes_from_data,
    )


def _check(train_error: float, samples: int, delta: float, classes: int | None) -> None:
    """Raise for a value out of range, before anything is read."""
    if not 0 <= train_error <= 1:
        raise InputError(f"train_error is a share in [0, 1], got {train_error:g}; divide a count by samples")
    if samples < 1:
        raise InputError(f"samples must be at least 1, got {samples}")
    if not 0 < delta < 1:
        raise InputError(f"delta must lie in (0, 1), got {delta:g}")
    if classes is not None and classes < 2:
        raise InputError(f"classes must be at least 2, got {classes}")
