"""What `lcfs study` does: train a grid, write its records, print its tables, and mirror the launch into MLflow."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lcfs import tracking
from lcfs.errors import InputError
from lcfs.terminal import print_table
from studies.engine import launching, overview
from studies.engine.budget import Budget
from studies.engine.executors import ExecutorName
from studies.engine.findings import Rows
from studies.engine.records import Record, read_one, write
from studies.engine.runner import run_cells
from studies.engine.scales import SCALES
from studies.engine.selecting import by_row
from studies.engine.study import Cell, Study, find, names


def print_list() -> None:
    """Every study with its claim."""
    for name in names():
        study = find(name)
        print(f"{name}\n  claim: {study.claim}\n  {study.item}; expected: {study.expected}")


@dataclass(frozen=True)
class Order:
    """What `lcfs study` is asked for.

    Attributes:
        name, scale, executor: see `lcfs study --help`.
        jobs: runs at once; 0 for one a core, or one where there is a GPU.
        runs: folder of the run directories of all studies, a folder below it for each scale.
        records: folder to write the record of each run to.
        budget: the time in which to train, and its price.
        recorded_steps: whether to record steps on a GPU.
        threads: of torch in each run, whatever `jobs` is.
    """

    name: str
    scale: str
    executor: ExecutorName = "local"
    jobs: int = 0
    runs: Path = Path("runs") / "studies"
    records: Path | None = None
    budget: Budget = field(default_factory=Budget)
    recorded_steps: bool = True
    threads: int = 1


def run(order: Order) -> int:
    """Run one study; 0 if every run finished, else 1."""
    if order.jobs < 0:
        raise InputError(f"--jobs must not be negative, got {order.jobs}")
    if order.threads < 0:
        raise InputError(f"--threads must not be negative, got {order.threads}")
    study = find(order.name)
    cells = study.grid(SCALES[order.scale])
    place = order.runs / order.scale
    print(f"{order.name} at scale {order.scale}, {len(cells)} runs ({study.item})", flush=True)
    print(f"claim: {study.claim}\nexpected: {study.expected}", flush=True)
    launch = launching.begin(order.name, order.scale, study, cells, place)
    mirror = tracking.LaunchMirror(launch, tracking.default_uri(place)) if tracking.available() else None
    status: tracking.Status = "interrupted"
    try:
        results = _train(order, cells, place, mirror)
        rows = {row: runs for row, runs in by_row(cells, results).items() if runs}
        _report(study, cells, rows, launch)
        unfinished = [record for record in results if record.status != "finished"]
        status = "unfinished" if unfinished else "finished"
    finally:
        launching.end(launch, status, cells)
        failed = mirror.close() if mirror else None
    if failed:
        print(f"MLflow did not take everything ({failed}); lcfs sync {place} sends it later")
    elif mirror:
        print(f"compare the runs in MLflow: lcfs ui {place} --study {order.name}")
    for record in unfinished:
        print(f"{record.name} {record.status}: {record.reason}")
    return 1 if unfinished else 0


def _train(
    order: Order, cells: Sequence[Cell], place: Path, mirror: tracking.LaunchMirror | None
) -> tuple[Record, ...]:
    """Train what is not finished; pictures and records of what is."""

    def after_run(record: Record, done: int, of: int) -> None:
        _show(record, done, of)
        _keep(record, place, order)
        if mirror:
            mirror.over(record.name)

    results = run_cells(
        cells,
        place,
        executor=order.executor,
        jobs=order.jobs or default_jobs(),
        threads=order.threads,
        budget=order.budget,
        recorded_steps=order.recorded_steps,
        on_done=after_run,
    )
    for record in results.values():
        _keep(record, place, order)
    return tuple(results.values())


def _keep(record: Record, place: Path, order: Order) -> None:
    """The picture of a run that has ended, and its record where one is wanted; what is there already stays."""
    if record.status == "open":
        return
    overview.draw_filters(place / record.name)
    if order.records is None:
        return
    kept = read_one(order.records / f"{record.name}.json")
    same = kept is not None and kept.environment.get("run_id") == record.environment.get("run_id")
    priced = kept is not None and "final/cost" in kept.metrics
    if not same or (order.budget.price_per_hour is not None and not priced):
        write(order.budget.priced(record), order.records)


def _report(study: Study, cells: Sequence[Cell], rows: Rows, launch: Path) -> None:
    """The tables and the finding in print, and both with a picture in the launch directory."""
    tables = study.tables(rows) if rows else ()
    for table in tables:
        print_table(table.header, table.rows, table.title)
    if len(rows) == len({cell.row for cell in cells}):
        print(f"found: {study.found(rows)}")
    launching.write_tables(launch, tables)
    overview.draw(rows, launch)


def _show(record: Record, done: int, of: int) -> None:
    accuracy = record.metrics.get("final/test_accuracy")
    ended = f"{record.status}: {record.reason}" if accuracy is None else f"test accuracy {100 * accuracy:.2f} %"
    print(f"{done}/{of} {record.name}: {ended}", flush=True)


def default_jobs() -> int:
    """Runs at once on this machine: one a core, or one where there is a GPU."""
    import torch

    return 1 if torch.cuda.is_available() else max(os.cpu_count() or 1, 1)
