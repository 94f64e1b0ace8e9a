"""lcfs bound and lcfs inspect: what a checkpoint holds, what its first layer learned, and what follows from it."""

import contextlib
import dataclasses
import json
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from lcfs.cli.arguments import parse
from lcfs.errors import InputError

if TYPE_CHECKING:
    from lcfs.reading import NetState


_CORRELATED = 5_000  # examples whose inputs are correlated, for comparison


@dataclass(frozen=True)
class BoundOptions:
    """Description lengths and bounds of a checkpoint, without its architecture."""

    file: tyro.conf.Positional[Path]
    """Any checkpoint, a folder of its shards, or a run directory."""
    errors: str
    """Training errors, without augmentation, in evaluation mode: a count such as 2500, or a share such as 0.05."""
    samples: int
    """Number of training examples."""
    test_errors: str | None = None
    """Errors on examples that neither training nor any choice has seen, as a count or a share: a bound from these."""
    test_samples: int | None = None
    """Number of those examples."""
    delta: float = 0.05
    """Probability with which a bound may fail."""
    classes: int | None = None
    """A bound no better than guessing among them is vacuous; by default one that says nothing at all."""
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
    """Any checkpoint, a folder of its shards, or a run directory."""
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
    train_error = share_of(options.errors, options.samples, "--errors", "--samples")
    held_out = None
    if (options.test_errors is None) != (options.test_samples is None):
        raise InputError("--test-errors and --test-samples belong together; pass both or neither")
    if options.test_errors is not None and options.test_samples is not None:
        held_out = share_of(options.test_errors, options.test_samples, "--test-errors", "--test-samples")
    if not 0 < options.delta < 1:
        raise InputError(f"--delta must lie in (0, 1), got {options.delta:g}")
    if options.classes is not None and options.classes < 2:
        raise InputError(f"--classes must be at least 2, got {options.classes}")
    from lcfs.analysis.counts import summarize_state
    from lcfs.cli import bound_report
    from lcfs.descriptions.counted import report
    from lcfs.descriptions.files import assumptions, described_numbers, read_net, refuse_partial
    from lcfs.terminal import Percentage
    from theory import bounds

    state = read_net(options.file, key=options.key, exclude=options.exclude)
    refuse_partial(options.file, state)
    summary = summarize_state(described_numbers(state), on_progress=Percentage("counting values"))
    found = report(
        summary,
        train_error=float(train_error),
        samples=options.samples,
        delta=options.delta,
        classes=options.classes,
        shapes_from_data=options.shapes == "billed" or state.shapes_from_data,
    )
    test_set_bound = None
    if held_out is not None and options.test_samples is not None:
        test_set_bound = bounds.test_set_bound(
            math.ceil(held_out * options.test_samples), options.test_samples, options.delta
        )
    if options.json:
        fields: dict[str, Any] = {**dataclasses.asdict(found), "test_set_bound": test_set_bound}
        fields |= {"assumptions": assumptions(summary), "file": _account(state)}
        if math.isinf(found.verdict.samples_needed):  # which JSON has no number for
            fields["verdict"]["samples_needed"] = None
        print(json.dumps(fields, indent=1))
        return 0
    bound_report.print_account(options.file, state)
    bound_report.print_assumptions(assumptions(summary))
    bound_report.print_report(found)
    if test_set_bound is not None:
        bound_report.print_held_out(test_set_bound, options.delta)
    return 0


def share_of(text: str, samples: int, option: str, samples_option: str) -> Fraction:
    """A count or a share of `samples` as a share in [0, 1], exactly.

    >>> share_of("2500", 50_000, "--errors", "--samples"), share_of("0.05", 50_000, "--errors", "--samples")
    (Fraction(1, 20), Fraction(1, 20))
    """
    if samples < 1:
        raise InputError(f"{samples_option} must be at least 1, got {samples}")
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{option} must be a count such as 2500 or a share such as 0.05, got {text!r}") from None
    if re.fullmatch(r"\d+", text):
        value /= samples
    if not 0 <= value <= 1:
        raise InputError(f"{option} must be a count of at most {samples_option}, or a share in [0, 1], got {text}")
    return value


def inspect(arguments: list[str]) -> int:
    """What a checkpoint holds, and what the first layer of a run learned."""
    options = parse(InspectOptions, arguments, "lcfs inspect")
    file, picture = options.file, options.picture
    from lcfs.analysis.counts import summarize_state
    from lcfs.cli import bound_report, reports
    from lcfs.descriptions.files import assumptions, described_numbers, is_run, read_net
    from lcfs.terminal import Percentage

    state = read_net(file, key=options.key, exclude=options.exclude)
    summary = summarize_state(described_numbers(state), on_progress=Percentage("counting values"))
    if options.json:
        print(json.dumps({**dataclasses.asdict(summary), "file": _account(state)}, indent=1, default=str))
        return 0
    bound_report.print_account(file, state)
    bound_report.print_assumptions(assumptions(summary))
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
    from lcfs.analysis.geometry import input_map
    from lcfs.cli import reports
    from lcfs.data.configured import load_configured
    from lcfs.runs import Run

    config = Run.open(run).config()
    image = data.facts(config.data).image
    permutation = data.pixel_permutation(config.seed, image) if config.permute_pixels else None
    layer = first_layer(config.architecture, state, image, permutation=permutation)
    reports.print_first_layer(layer)
    examples, names = None, ()
    with contextlib.suppress(InputError):  # data that are not here are no reason to say nothing of the net
        dataset = load_configured(config, download=False)
        examples, names = dataset.train.images[:_CORRELATED], dataset.input_names
    places = input_map(state, image, permutation=permutation, examples=examples)
    if places is not None:
        reports.print_input_map(places)
    try:
        pictures.first_layer(layer, picture)
        if places is not None:
            drawn = pictures.input_map(places, picture.with_name("input_map.png"), permutation=permutation, names=names)
            print(f"map of the inputs: {drawn}")
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
