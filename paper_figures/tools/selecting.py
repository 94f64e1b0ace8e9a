"""The records that a figure shows, found by what was trained: by the fields of their configurations, not by names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lcfs.config import TrainConfig
from lcfs.errors import InputError
from studies.engine.records import RECORDS, Record, read
from studies.engine.runner import NO_DIFFERENCE
from studies.engine.scales import SCALES, Scale
from studies.engine.study import Cell


@dataclass(frozen=True)
class Source:
    """Runs of ours: a folder of records, the scale whose grids they belong to, and how they may differ from its cells.

    epochs: the length of the runs, where it is not the scale's. free: fields that may have any value.
    """

    label: str
    folder: str
    scale: str
    epochs: int | None = None
    free: tuple[str, ...] = ()


LAPTOP = Source("laptop", "laptop", "laptop")
SOURCES = (
    LAPTOP,
    *(Source(f"GPU, {epochs} epochs", "gpu", "paper", epochs, ("augment.cutout",)) for epochs in (400, 4000)),
)


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """What was trained, flat: `optimizer.beta` and so on, with today's default for a field that the record is without.

    >>> fields({"architecture": "s-fc", "optimizer": {"beta": 3.0}})["optimizer.beta"]
    3.0
    """
    found = {**_flat(asdict(TrainConfig("s-fc"))), **_flat(config)}
    return {name: value for name, value in found.items() if name not in NO_DIFFERENCE}


def by_row(cells: Callable[[Scale], Sequence[Cell]], source: Source = LAPTOP) -> dict[str, list[Record]]:
    """The finished runs of a study's grid, those that differ in no field from a cell, by the cell's row; some empty."""

    def key(config: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
        return frozenset((name, value) for name, value in fields(config).items() if name not in source.free)

    found = read(RECORDS / source.folder, lambda record: record.status == "finished")
    records = {key(record.config): record for record in found}
    rows: dict[str, list[Record]] = {}
    for cell in cells(SCALES[source.scale]):
        config = replace(cell.config, epochs=source.epochs or cell.config.epochs)
        record = records.get(key(asdict(config)))
        rows.setdefault(cell.row, []).extend([record] if record else [])
    return rows


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
