"""The records that a figure shows, found by what was trained: by the fields of their configurations, not by names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lcfs.config import TrainConfig
from lcfs.errors import InputError
from studies.records import Estimate, Record, estimate, read
from studies.scales import SCALES, Scale
from studies.study import Cell

RECORDS = Path(__file__).parent.parent / "studies" / "records"
# As for studies.runner.cell_name, these fields do not change what a run learns.
_NO_DIFFERENCE = ("data_dir", "device", "checkpoint_seconds", "compact", "parallel")
_PLAIN = {
    "permute_pixels": False,
    "random_labels": False,
    "prune.rounds": 1,
    "optimizer.threshold": "hard",
    "optimizer.one_sided": False,
    "optimizer.all_parameters": False,
}


def finished(scale: str = "laptop") -> list[Record]:
    """The runs of a scale that came to their end; none if nothing was recorded."""
    return read(RECORDS / scale, lambda record: record.status == "finished")


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """What was trained, flat: `optimizer.beta` and so on, with today's default for a field that the record is without.

    >>> fields({"architecture": "s-fc", "optimizer": {"beta": 3.0}})["optimizer.beta"]
    3.0
    """
    found = {**_flat(asdict(TrainConfig("s-fc"))), **_flat(config)}
    return {name: value for name, value in found.items() if name not in _NO_DIFFERENCE}


def by_row(cells: Callable[[Scale], Sequence[Cell]], scale: str = "laptop") -> dict[str, list[Record]]:
    """The finished runs of a study's grid: those that differ in no field from a cell, by the cell's row, some empty."""
    records = {frozenset(fields(record.config).items()): record for record in finished(scale)}
    rows: dict[str, list[Record]] = {}
    for cell in cells(SCALES[scale]):
        record = records.get(frozenset(fields(asdict(cell.config)).items()))
        rows.setdefault(cell.row, []).extend([record] if record else [])
    return rows


def plain(records: Iterable[Record], wanted: Mapping[str, Any]) -> list[Record]:
    """The runs with these fields, on real images and labels, by the paper's algorithms as they are."""
    same = {**_PLAIN, **wanted}.items()
    return [record for record in records if same <= fields(record.config).items()]


def sweep(records: Iterable[Record], *along: str) -> list[Record]:
    """The runs that differ in nothing but these fields and the seed: of all such sets the one with the most values.

    Of two sets with as many values the one with more runs is taken, then the first.
    """
    sets: dict[frozenset, list[Record]] = {}
    for record in records:
        rest = ((name, value) for name, value in fields(record.config).items() if name not in (*along, "seed"))
        sets.setdefault(frozenset(rest), []).append(record)
    return max(sets.values(), key=lambda runs: (len(grouped(runs, *along)), len(runs)), default=[])


def grouped(records: Iterable[Record], *along: str) -> dict[tuple, list[Record]]:
    """The runs of each combination of values of these fields, ascending: a group is the seeds of one training."""
    groups: dict[tuple, list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(fields(record.config)[name] for name in along), []).append(record)
    return dict(sorted(groups.items()))


def accuracy(records: Iterable[Record], split: str = "test") -> Estimate:
    """Of the finished nets on "test" or "train" images as they are, without augmentation, in percent."""
    if split == "test":
        return estimate(100 * record.metrics["final/test_accuracy"] for record in records)
    return estimate(100 - 100 * record.metrics["final/train_error"] for record in records)


def density(records: Iterable[Record]) -> Estimate:
    """Weights that are not zero, in percent."""
    return estimate(100 * record.metrics["final/nonzeros"] / record.metrics["final/weights"] for record in records)


def missing(study: str) -> InputError:
    """To raise where a figure would be empty."""
    folder = RECORDS / "laptop"
    remedy = f"lcfs study {study} --scale laptop --records {folder} writes them"
    return InputError(f"{folder} holds no finished runs of the study {study}: {remedy}")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
