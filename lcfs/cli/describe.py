"""lcfs bound and lcfs inspect: what a checkpoint holds, what its first layer learned, and what follows from it."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from lcfs.cli.arguments import parse
from lcfs.errors import InputError

if TYPE_CHECKING:
    from lcfs.reading import NetState


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
    key: str | None = None
    """Keys joined by dots under which the net stands in the file; by default the usual ones."""
    exclude: tuple[str, ...] = ()
    """Patterns of names that the net does not need to predict, such as 'teacher.*'."""
    shapes: Literal["fixed", "billed"] = "fixed"
    """Whether the shapes were fixed before the data; billed if training found them."""
    json: bool = False
    """Print one JSON object."""


@dataclass(frozen=True)
class InspectOptions:
    """What a checkpoint holds; of a run also what its first layer has learned."""

    file: tyro.conf.Positional[Path]
    """A state dict (.pt, .pth, .ckpt, .safetensors) or a run directory."""
    key: str | None = None
    """Keys joined by dots under which the net stands in the file; by default the usual ones."""
    exclude: tuple[str, ...] = ()
    """Patterns of names that are left out, such as 'teacher.*'."""
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
    from lcfs.descriptions.files import described_numbers, read_net, refuse_partial
    from lcfs.terminal import Percentage

    state = read_net(options.file, key=options.key, exclude=options.exclude)
    refuse_partial(options.file, state)
    summary = summarize_state(described_numbers(state), on_progress=Percentage("counting values"))
    shapes_from_data = options.shapes == "billed" or state.shapes_from_data
    found = report(
        summary, train_error=errors, samples=samples, delta=delta, classes=classes, shapes_from_data=shapes_from_data
    )
    if options.json:
        print(json.dumps({**dataclasses.asdict(found), "file": _account(state)}, indent=1))
    else:
        reports.print_account(options.file, state)
        reports.print_report(found)
    return 0


def inspect(arguments: list[str]) -> int:
    """What a checkpoint holds, and what the first layer of a run learned."""
    options = parse(InspectOptions, arguments, "lcfs inspect")
    file, picture = options.file, options.picture
    from lcfs.analysis.counts import summarize_state
    from lcfs.cli import reports
    from lcfs.descriptions.files import described_numbers, is_run, read_net
    from lcfs.terminal import Percentage

    state = read_net(file, key=options.key, exclude=options.exclude)
    summary = summarize_state(described_numbers(state), on_progress=Percentage("counting values"))
    if options.json:
        print(json.dumps({**dataclasses.asdict(summary), "file": _account(state)}, indent=1, default=str))
        return 0
    reports.print_account(file, state)
    reports.print_state(summary)
    if is_run(file):
        _inspect_first_layer(file, state.tensors, picture or file / "first_layer.png")
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


def _account(state: "NetState") -> dict[str, Any]:
    """What was read and what was not, for --json."""
    return {
        "kind": state.kind,
        "key": state.key,
        "tensors": len(state.tensors),
        "left_out": [dataclasses.asdict(left) for left in state.left_out],
        "stubs": list(state.stubs),
    }
