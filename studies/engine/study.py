"""A study: a claim and an expected number stated first, a grid of runs, and the tables that answer it."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lcfs.config import TrainConfig
from lcfs.errors import InputError, nearest
from studies import grids
from studies.engine.findings import Rows
from studies.engine.scales import Scale


@dataclass(frozen=True)
class Cell:
    """One run of a grid and the row of the table that it belongs to, with its seed left out."""

    row: str
    config: TrainConfig


@dataclass(frozen=True)
class Table:
    """Cells of text, ready to print."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Study:
    """A module's `STUDY`.

    cells: the grid at a scale, a comprehension of frozen configurations. tables: from the records of each row, those of
    runs that did not finish left out. found: the answer in one sentence with its numbers, from rows that all have runs.
    figures: those of `lcfs figure` that show it. images_only: whether its nets take no signals.
    """

    claim: str
    item: str
    expected: str
    cells: Callable[[Scale], Sequence[Cell]]
    tables: Callable[[Rows], Sequence[Table]]
    found: Callable[[Rows], str]
    figures: tuple[str, ...] = ()
    images_only: bool = False

    def grid(self, scale: Scale) -> Sequence[Cell]:
        """The cells at a scale. Raises InputError where its nets do not take the scale's data."""
        if self.images_only and scale.data == "signals":
            raise InputError(f"scale {scale.name} is of signals, which this study's nets do not take; choose another")
        return self.cells(scale)


def names() -> list[str]:
    """Modules of the package that define a `STUDY`, without importing them."""
    return sorted(
        module.name for module in pkgutil.iter_modules(grids.__path__) if "\nSTUDY = Study(" in _source(module)
    )


def find(name: str) -> Study:
    """The study of a module. Raises InputError for an unknown name."""
    if name not in names():
        raise InputError(f"there is no study {name!r}{nearest(name, names())}; lcfs study list lists them")
    return importlib.import_module(f"studies.grids.{name}").STUDY


def _source(module: pkgutil.ModuleInfo) -> str:
    return (Path(grids.__path__[0]) / f"{module.name}.py").read_text()
