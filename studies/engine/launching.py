"""The launch of a study as a directory: what it claims, what it sweeps, which cells it has to train, what came out."""

import csv
import os
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lcfs import data
from lcfs.config import TrainConfig
from lcfs.errors import InputError
from lcfs.runs.launch import DataMark, Launch, LaunchedCell, Status, launches_below, read_launch, write_launch
from studies.engine.configurations import cell_name, read_fields
from studies.engine.runner import finished
from studies.engine.study import Cell, Study, Table

_ALWAYS = ("architecture", "optimizer.name", "optimizer.beta", "seed")


def begin(name: str, scale: str, study: Study, cells: Sequence[Cell], runs: Path) -> Path:
    """A new launch directory; if there is nothing to train and one like it, that one."""
    named = {cell_name(cell.config): cell for cell in cells}
    params = swept({key: cell.config for key, cell in named.items()})
    launched = {key: LaunchedCell(_title(cell), {"row": cell.row, **params[key]}) for key, cell in named.items()}
    trained = tuple(key for key in named if not finished(runs / key))
    launch = Launch(
        launch_id=uuid.uuid4().hex,
        study=name,
        scale=scale,
        claim=study.claim,
        item=study.item,
        expected=study.expected,
        cells=launched,
        trained=trained,
        data=data_marks(cells),
        started=time.time(),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    if not trained and (like := _like(launch, runs)) is not None:
        return like
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(launch.started))
    folder = runs / "launches" / f"{name}-{stamp}-{launch.launch_id[:4]}"
    write_launch(folder, launch)
    return folder


def write_tables(folder: Path, tables: Sequence[Table]) -> None:
    """The tables of a launch as CSV files among its artifacts."""
    for number, table in enumerate(tables, start=1):
        path = folder / "artifacts" / f"table-{number}.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as handle:
            csv.writer(handle, lineterminator="\n").writerows([table.header, *table.rows])


def end(folder: Path, status: Status, cells: Sequence[Cell]) -> None:
    """Write down how a launch ended, and its data if they were not there at the start."""
    launch = read_launch(folder)
    write_launch(folder, replace(launch, status=status, ended=time.time(), data=launch.data or data_marks(cells)))


def swept(configs: Mapping[str, TrainConfig]) -> dict[str, dict[str, str]]:
    """For each run the fields whose values differ among the runs that read them, and those that tell every run.

    >>> from lcfs.config import OptimizerConfig
    >>> lasso = TrainConfig("s-fc", optimizer=OptimizerConfig("beta-lasso", beta=0.0))
    >>> swept({"a": TrainConfig("s-fc"), "b": lasso})["b"]
    {'architecture': 's-fc', 'optimizer.name': 'beta-lasso', 'optimizer.beta': '0', 'seed': '0'}
    """
    flat = {name: read_fields(config) for name, config in configs.items()}
    values: dict[str, set[str]] = {}
    for fields in flat.values():
        for key, value in fields.items():
            values.setdefault(key, set()).add(value)
    kept = [*_ALWAYS, *(key for key, different in values.items() if len(different) > 1 and key not in _ALWAYS)]
    return {name: {key: fields[key] for key in kept if key in fields} for name, fields in flat.items()}


def data_marks(cells: Sequence[Cell]) -> tuple[DataMark, ...]:
    """Fingerprints of the data sets of a grid, before images are set aside for validation; () if one is not here."""
    marks = []
    for name, folder in sorted({(cell.config.data, cell.config.data_dir) for cell in cells}, key=str):
        try:
            dataset = data.load(name, folder=folder, download=False)
        except InputError:
            return ()
        splits = (("training", dataset.train), ("test", dataset.test))
        marks += [DataMark(name, split, len(images), images.fingerprint()) for split, images in splits]
    return tuple(marks)


def _title(cell: Cell) -> str:
    return f"{cell.row}, seed {cell.config.seed}"


def _like(launch: Launch, runs: Path) -> Path | None:
    """The last launch of the same cells."""
    for folder in reversed(launches_below(runs)):
        try:
            other = read_launch(folder)
        except ValueError:
            continue
        if (other.experiment, other.cells) == (launch.experiment, launch.cells):
            return folder
    return None
