"""lcfs bound and lcfs inspect: what any checkpoint holds and what follows from it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import tyro

from lcfs.commands.arguments import parse
from lcfs.errors import InputError

_Positional = tyro.conf.Positional


def bound(arguments: list[str]) -> int:
    """Description lengths and generalization bounds of any checkpoint."""

    def options(
        file: _Positional[Path],
        errors: float,
        samples: int,
        delta: float = 0.05,
        classes: int | None = None,
        json: bool = False,
    ) -> tuple:
        """Description lengths and bounds of a checkpoint, without its architecture.

        Args:
            file: A state dict (.pt, .pth, .ckpt, .safetensors) or a run directory.
            errors: Training error in [0, 1], without augmentation, in evaluation mode.
            samples: Number of training examples.
            delta: Probability with which a bound may fail.
            classes: A bound no better than guessing among them is marked vacuous.
            json: Print one JSON object.
        """
        return file, errors, samples, delta, classes, json

    file, errors, samples, delta, classes, as_json = parse(options, arguments, "lcfs bound")
    if not 0 <= errors <= 1:
        raise InputError(
            f"--errors is the training error as a fraction in [0, 1], got {errors:g}; divide a count by --samples"
        )
    if samples < 1:
        raise InputError(f"--samples must be at least 1, got {samples}")
    if not 0 < delta < 1:
        raise InputError(f"--delta must lie in (0, 1), got {delta:g}")
    if classes is not None and classes < 2:
        raise InputError(f"--classes must be at least 2, got {classes}")
    from lcfs import console
    from lcfs.analysis import summarize_state
    from lcfs.descriptions import report

    summary = summarize_state(_state_of(file), on_progress=console.Percentage("counting distinct values"))
    found = report(summary, train_error=errors, samples=samples, delta=delta, classes=classes)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        console.print_report(found)
    return 0


def inspect(arguments: list[str]) -> int:
    """What a checkpoint holds: tensors, non-zeros, distinct values."""

    def options(file: _Positional[Path], json: bool = False) -> tuple[Path, bool]:
        """What a checkpoint holds.

        Args:
            file: A state dict (.pt, .pth, .ckpt, .safetensors) or a run directory.
            json: Print one JSON object.
        """
        return file, json

    file, as_json = parse(options, arguments, "lcfs inspect")
    from lcfs import console
    from lcfs.analysis import summarize_state

    summary = summarize_state(_state_of(file), on_progress=console.Percentage("counting distinct values"))
    if as_json:
        print(json.dumps(dataclasses.asdict(summary), indent=1, default=str))
    else:
        console.print_state(file, summary)
    return 0


def _state_of(path: Path) -> dict[str, Any]:
    """The state dict of a file, or of the newest checkpoint of a run directory."""
    from lcfs.checkpoints import load_state
    from lcfs.runs import Run

    if path.is_dir():
        path = Run.open(path).newest_checkpoint()
    return load_state(path)
