"""Training the cells of a grid: finished ones are skipped, interrupted ones resumed, a failed one stops no other."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lcfs.errors import InputError
from lcfs.runs import Run
from studies.engine.configurations import cell_name
from studies.engine.executors import ExecutorName, run_all
from studies.engine.records import Record, record_of
from studies.engine.study import Cell


def run_cells(
    cells: Sequence[Cell],
    runs: Path,
    *,
    executor: ExecutorName = "local",
    jobs: int = 1,
    on_done: Callable[[Record, int, int], None] = lambda record, done, of: None,
) -> dict[str, Record]:
    """Train what is not finished and return the record of every cell by its name.

    Args:
        cells: the grid; two cells of the same configuration are one run.
        runs: folder of the run directories, which other studies may share.
        executor: processes of this machine, or jobs of a Slurm cluster through submitit.
        jobs: runs at once; on this machine each has its share of the cores, and 1 trains in this process.
        on_done: called in this process after each run, with how many are done of how many.

    Raises:
        InputError: no such executor here.
    """
    wanted = {cell_name(cell.config): cell.config for cell in cells}
    runs.mkdir(parents=True, exist_ok=True)
    open_cells = {name: config for name, config in wanted.items() if not finished(runs / name)}
    done = len(wanted) - len(open_cells)
    calls = {name: (asdict(config), str(runs / name)) for name, config in open_cells.items()}
    for name, error in run_all(train_cell, calls, executor, jobs, runs / "slurm"):
        if error is not None:
            _check_written(runs / name, error)
        done += 1
        on_done(record_of(Run.open(runs / name)), done, len(wanted))
    return {name: record_of(Run.open(runs / name)) for name in wanted}


def train_cell(config: dict[str, Any], path: str, threads: int) -> None:
    """Train one cell in this process; whatever goes wrong is written into its summary."""
    import torch

    from lcfs.config import from_dict
    from lcfs.training.loop import Diverged, train

    if threads:
        torch.set_num_threads(threads)
    place = Path(path)
    (place / "summary.json").unlink(missing_ok=True)  # of an attempt that failed
    try:
        train(from_dict(config), place, resume=(place / "config.json").exists())
    except Diverged:
        pass  # train wrote it down
    except Exception as error:
        if (place / "config.json").exists():
            reason = f"{type(error).__name__}: {error}"
            Run.open(place).write_summary({"status": "failed", "metrics": {}, "tags": {"reason": reason}})
        raise


def _check_written(path: Path, error: BaseException) -> None:
    """A failure that is in no summary is the user's to repair, as missing data."""
    if not (path / "config.json").exists():
        raise InputError(str(error)) from error


def finished(path: Path) -> bool:
    """Ended for good: a run that diverged would diverge again, one that failed may have lacked memory or disk."""
    if not (path / "config.json").exists():
        return False
    return (Run.open(path).summary() or {}).get("status") in ("finished", "diverged")
