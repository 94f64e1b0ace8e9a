"""Training the cells of a grid: finished ones are skipped, interrupted ones resumed, a failed one stops no other."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from lcfs import tracking
from lcfs.config import TrainConfig
from lcfs.errors import InputError
from lcfs.runs import Run
from studies.records import Record, record_of
from studies.study import Cell

ExecutorName = Literal["local", "slurm"]
_NO_DIFFERENCE = ("data_dir", "device", "checkpoint_seconds", "compact")  # they do not change what a run learns
# Fields that came after the first records: at their defaults they leave a cell's name as it was.
_LATER = ("random_labels", "prune", "optimizer.threshold")


def cell_name(config: TrainConfig) -> str:
    """The same for the same training, whichever study asks for it, so that studies share their runs.

    >>> cell_name(TrainConfig("s-fc", data="cifar10"))
    's-fc-sgd-cifar10-a16-s0-7b3bc0'
    """
    c = config
    kept: dict[str, Any] = {key: value for key, value in asdict(c).items() if key not in _NO_DIFFERENCE}
    defaults: dict[str, Any] = asdict(TrainConfig(c.architecture))
    for outer, _, inner in (name.partition(".") for name in _LATER):
        there, default, key = (kept[outer], defaults[outer], inner) if inner else (kept, defaults, outer)
        if there[key] == default[key]:
            del there[key]
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:6]
    return f"{c.architecture}-{c.optimizer.name}-{c.data}-a{c.base_channels}-s{c.seed}-{digest}"


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
        jobs: processes at once, each with its share of the cores; 1 trains in this process.
        on_done: called in this process after each run, with how many are done of how many.

    Raises:
        InputError: no such executor here.
    """
    wanted = {cell_name(cell.config): cell.config for cell in cells}
    runs.mkdir(parents=True, exist_ok=True)
    open_cells = {name: config for name, config in wanted.items() if not _finished(runs / name)}
    done = len(wanted) - len(open_cells)
    mirror = _Mirror(runs)
    for name in _trained(open_cells, runs, executor, jobs):
        done += 1
        mirror.send(name)
        on_done(record_of(Run.open(runs / name)), done, len(wanted))
    return {name: record_of(Run.open(runs / name)) for name in wanted}


def train_cell(config: dict[str, Any], path: str, threads: int) -> None:
    """Train one cell in this process; whatever goes wrong is written into its summary."""
    import torch

    from lcfs.config import from_dict
    from lcfs.training import Diverged, train

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


def _trained(cells: dict[str, TrainConfig], runs: Path, executor: ExecutorName, jobs: int) -> Iterator[str]:
    """Names of cells as they end; one that left no run directory, as for want of data, raises what it raised."""
    if executor == "local" and jobs == 1:
        for name, config in cells.items():
            try:
                train_cell(asdict(config), str(runs / name), 0)
            except Exception as error:
                _check_written(runs / name, error)
            yield name
    elif cells:
        threads = max((os.cpu_count() or 1) // jobs, 1) if executor == "local" else 0
        with _executor(executor, jobs, runs) as pool:
            futures = {
                pool.submit(train_cell, asdict(config), str(runs / name), threads): name
                for name, config in cells.items()
            }
            for future in _ended(futures):
                if (error := future.exception()) is not None:
                    try:
                        _check_written(runs / futures[future], error)
                    except InputError:
                        for other in futures:
                            other.cancel()
                        raise
                yield futures[future]


def _check_written(path: Path, error: BaseException) -> None:
    """A failure that is in no summary is the user's to repair, as missing data."""
    if not (path / "config.json").exists():
        raise InputError(str(error)) from error


def _ended(futures: dict[Any, str]) -> Iterator[Any]:
    if all(isinstance(future, Future) for future in futures):
        return as_completed(futures)
    return _waited(futures)


def _waited(jobs: dict[Any, str]) -> Iterator[Any]:
    """submitit's jobs in their order; `exception` waits."""
    for job in jobs:
        job.exception()
        yield job


def _executor(name: ExecutorName, jobs: int, runs: Path) -> Any:
    if name == "local":
        return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        import submitit
    except ImportError as error:
        raise InputError("--executor slurm needs submitit; pip install submitit") from error
    return _Slurm(submitit.AutoExecutor(folder=runs / "slurm"), jobs)


class _Slurm:
    """submitit's executor as one that can be entered; at most `jobs` jobs of an array run at once."""

    def __init__(self, executor: Any, jobs: int) -> None:
        self._executor = executor
        executor.update_parameters(slurm_array_parallelism=jobs, timeout_min=24 * 60, name="lcfs")

    def __enter__(self) -> "_Slurm":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._executor.submit(function, *arguments)


class _Mirror:
    """Sends ended runs to MLflow from this process alone; never fatal, `lcfs sync` replays."""

    def __init__(self, runs: Path) -> None:
        self._runs, self._uri = runs, tracking.default_uri(runs)
        self._works = tracking.available()
        if self._works:
            try:
                tracking.prepare(self._uri)
            except Exception:
                self._works = False

    def send(self, name: str) -> None:
        if self._works:
            tracking.Mirror(self._runs / name, self._uri, experiment=f"study-{self._runs.name}").close()


def _finished(path: Path) -> bool:
    """Ended for good: a run that diverged would diverge again, one that failed may have lacked memory or disk."""
    if not (path / "config.json").exists():
        return False
    return (Run.open(path).summary() or {}).get("status") in ("finished", "diverged")
