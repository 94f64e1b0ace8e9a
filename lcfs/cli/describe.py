"""lcfs bound and lcfs inspect: what a checkpoint holds, what its first layer learned, and what follows from it."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from lcfs.cli.arguments import parse
from lcfs.errors import InputError


@dataclass(frozen=True)
class BoundOptions:
    """Description lengths and bounds of a checkpoint, without its architecture."""

    file: tyro.conf.Positional[Path]
    """A state dict (.pt, .pth, .ckpt, .safetensors) or a run directory."""
    errors: float
    """Training error in [0, 1], without augmentation, in evaluation mode."""
    samples: int
    """Number of training examples."""
    delta: float = 0.05
    """Probability with which a bound may fail."""
    classes: int | None = None
    """A bound no better than guessing among them is marked vacuous."""
    json: bool = False
    """Print one JSON object."""


@dataclass(frozen=True)
class InspectOptions:
    """What a checkpoint holds; of a run also what its first layer looks at, with a picture."""

    file: tyro.conf.Positional[Path]
    """A state dict (.pt, .pth, .ckpt, .safetensors) or a run directory."""
    json: bool = False
    """Print one JSON object."""
    picture: Path | None = None
    """Where to draw the first layer; by default first_layer.png in the run directory."""


def bound(arguments: list[str]) -> int:
    """Description lengths and generalization bounds of any checkpoint."""
    options = parse(BoundOptions, arguments, "lcfs bound")
    errors, samples, delta, classes = options.errors, options.samples, options.delta, options.classes
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
    from lcfs.analysis.counts import summarize_state
    from lcfs.cli import reports
    from lcfs.descriptions.counted import report
    from lcfs.terminal import Percentage

    summary = summarize_state(_state_of(options.file), on_progress=Percentage("counting distinct values"))
    found = report(summary, train_error=errors, samples=samples, delta=delta, classes=classes)
    if options.json:
        print(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        reports.print_report(found)
    return 0


def inspect(arguments: list[str]) -> int:
    """What a checkpoint holds, and what the first layer of a run learned."""
    options = parse(InspectOptions, arguments, "lcfs inspect")
    file, picture = options.file, options.picture
    from lcfs.analysis.counts import summarize_state
    from lcfs.cli import reports
    from lcfs.terminal import Percentage

    state = _state_of(file)
    summary = summarize_state(state, on_progress=Percentage("counting distinct values"))
    if options.json:
        print(json.dumps(dataclasses.asdict(summary), indent=1, default=str))
        return 0
    reports.print_state(file, summary)
    if file.is_dir():
        _inspect_first_layer(file, state, picture or file / "first_layer.png")
    elif picture is not None:
        raise InputError(f"{file} is no run directory, whose net is known; --picture needs one")
    return 0


def _inspect_first_layer(run: Path, state: dict[str, Any], picture: Path) -> None:
    from lcfs import data
    from lcfs.analysis import pictures
    from lcfs.analysis.first_layer import first_layer
    from lcfs.cli import reports
    from lcfs.runs import Run

    config = Run.open(run).config()
    image = data.facts(config.data).image
    permutation = data.pixel_permutation(config.seed, image) if config.permute_pixels else None
    layer = first_layer(config.architecture, state, image, permutation=permutation)
    reports.print_first_layer(layer)
    try:
        pictures.first_layer(layer, picture)
    except OSError as error:
        raise InputError(f"{picture} cannot be written ({error.strerror}); pass another --picture") from error
    print(f"picture: {picture}")


def _state_of(path: Path) -> dict[str, Any]:
    """The state dict of a file, or of the newest checkpoint of a run directory."""
    from lcfs.runs import Run
    from lcfs.runs.checkpoints import load_state

    if path.is_dir():
        path = Run.open(path).newest_checkpoint()
    return load_state(path)
