"""The records that a figure shows: the finished runs of a study's grid, at one of the scales that were run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lcfs.errors import InputError
from studies.engine import selecting
from studies.engine.records import RECORDS, Record, read
from studies.engine.scales import SCALES, Scale
from studies.engine.study import Cell


@dataclass(frozen=True)
class Source:
    """Runs of ours: the scale whose grids they belong to, in a folder of its name, and their epochs if not its own."""

    label: str
    scale: str
    epochs: int | None = None


LAPTOP = Source("laptop", "laptop")
SOURCES = (LAPTOP, *(Source(f"GPU, {epochs} epochs", "paper", epochs) for epochs in (400, 4000)))


def by_row(cells: Callable[[Scale], Sequence[Cell]], source: Source = LAPTOP) -> dict[str, list[Record]]:
    """The finished runs of a study's grid, those that differ in no field from a cell, by the cell's row; some empty."""
    grid = cells(SCALES[source.scale])
    if source.epochs:
        grid = [replace(cell, config=replace(cell.config, epochs=source.epochs)) for cell in grid]
    return selecting.by_row(grid, read(RECORDS / source.scale))


def missing(study: str) -> InputError:
    """To raise where a figure would be empty."""
    folder = RECORDS / LAPTOP.scale
    remedy = f"lcfs study {study} --scale {LAPTOP.scale} --records {folder} writes them"
    return InputError(f"{folder} holds no finished runs of the study {study}: {remedy}")
