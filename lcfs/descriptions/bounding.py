"""`lcfs.bound`: description lengths and generalization bounds of any checkpoint, by one call."""

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from lcfs.analysis.counts import summarize_state
from lcfs.descriptions.counted import Report, report
from lcfs.errors import InputError
from lcfs.runs import Run
from lcfs.runs.checkpoints import load_state


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
        checkpoint: a state dict in memory, a file that holds one (.pt, .pth, .ckpt, .safetensors; its code is never
            run), or a run directory, of which the newest checkpoint is taken.
        train_error: share in [0, 1] of the training examples that the net gets wrong, without augmentation and in
            evaluation mode.
        samples: number of training examples, ≥ 1.
        delta: probability in (0, 1) with which the bounds may fail; fixed before the data were seen.
        classes: number of classes, ≥ 2; a bound no better than guessing among them is marked vacuous.
        on_progress: called with the share in [0, 1] of the entries that are counted; it takes long for 10^8 weights.

    Returns:
        Counts, the length in bits in each language, and the bounds on the error, each in [train_error, 1].

    Raises:
        InputError: a file that cannot be read or holds no tensors, infinite or NaN entries, a value out of range.
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
    state = checkpoint if isinstance(checkpoint, Mapping) else _state_of(Path(checkpoint))
    summary = summarize_state(state, on_progress=on_progress)
    return report(summary, train_error=train_error, samples=samples, delta=delta, classes=classes)


def _state_of(path: Path) -> dict[str, Tensor]:
    return load_state(Run.open(path).newest_checkpoint() if path.is_dir() else path)


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
