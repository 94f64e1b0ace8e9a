"""What `lcfs study` does: train a grid, write its records, print its tables, and mirror the launch into MLflow."""

import os
from pathlib import Path

from lcfs import tracking
from lcfs.errors import InputError
from lcfs.terminal import print_table
from studies.engine import launching, overview
from studies.engine.executors import ExecutorName
from studies.engine.records import Record, write
from studies.engine.runner import run_cells
from studies.engine.scales import SCALES
from studies.engine.selecting import by_row
from studies.engine.study import find, names


def print_list() -> None:
    """Every study with its claim."""
    for name in names():
        study = find(name)
        print(f"{name}\n  claim: {study.claim}\n  {study.item}; expected: {study.expected}")


def run(name: str, scale: str, executor: ExecutorName, jobs: int, runs: Path, records: Path | None) -> int:
    """Run one study; 0 if every run finished, else 1.

    Args:
        name, scale, executor: see `lcfs study --help`.
        jobs: runs at once; 0 for one a core, or one where there is a GPU.
        runs: folder of the run directories of all studies, a folder below it for each scale.
        records: folder to write the record of each run to.
    """
    if jobs < 0:
        raise InputError(f"--jobs must not be negative, got {jobs}")
    study = find(name)
    cells = study.cells(SCALES[scale])
    place = runs / scale
    print(f"{name} at scale {scale}, {len(cells)} runs ({study.item})", flush=True)
    print(f"claim: {study.claim}\nexpected: {study.expected}", flush=True)
    launch = launching.begin(name, scale, study, cells, place)
    mirror = tracking.LaunchMirror(launch, tracking.default_uri(place)) if tracking.available() else None
    status: tracking.Status = "interrupted"
    try:

        def ended(record: Record, done: int, of: int) -> None:
            _show(record, done, of)
            overview.draw_filters(place / record.name)
            if mirror:
                mirror.over(record.name)

        found = run_cells(cells, place, executor=executor, jobs=jobs or _default_jobs(), on_done=ended)
        if records is not None:
            for record in found.values():
                write(record, records)
        unfinished = [record for record in found.values() if record.status != "finished"]
        rows = {row: runs for row, runs in by_row(cells, found.values()).items() if runs}
        tables = study.tables(rows) if rows else ()
        for table in tables:
            print_table(table.header, table.rows, table.title)
        if len(rows) == len({cell.row for cell in cells}):
            print(f"found: {study.found(rows)}")
        launching.write_tables(launch, tables)
        overview.draw(rows, launch)
        for record in found.values():
            overview.draw_filters(place / record.name)
        status = "unfinished" if unfinished else "finished"
    finally:
        launching.end(launch, status, cells)
        failed = mirror.close() if mirror else None
    if failed:
        print(f"MLflow did not take everything ({failed}); lcfs sync {place} sends it later")
    elif mirror:
        print(f"compare the runs in MLflow: lcfs ui {place} --study {name}")
    for record in unfinished:
        print(f"{record.name} {record.status}: {record.reason}")
    return 1 if unfinished else 0


def _show(record: Record, done: int, of: int) -> None:
    accuracy = record.metrics.get("final/test_accuracy")
    ended = f"{record.status}: {record.reason}" if accuracy is None else f"test accuracy {100 * accuracy:.2f} %"
    print(f"{done}/{of} {record.name}: {ended}", flush=True)


def _default_jobs() -> int:
    import torch

    return 1 if torch.cuda.is_available() else max(os.cpu_count() or 1, 1)
