"""Training the cells of a grid: finished ones are skipped, interrupted ones resumed, a failed one stops no other."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lcfs.config import TrainConfig, from_dict, to_dict
from lcfs.errors import InputError
from lcfs.runs import Run
from lcfs.runs.atomic import write_text_atomically
from studies.engine.budget import Budget, OutOfTime
from studies.engine.configurations import cell_name, differences
from studies.engine.executors import ExecutorName, run_all
from studies.engine.records import Record, record_of
from studies.engine.study import Cell

_ANY_TIME = Budget()


def run_cells(
    cells: Sequence[Cell],
    runs: Path,
    *,
    executor: ExecutorName = "local",
    jobs: int = 1,
    budget: Budget = _ANY_TIME,
    recorded_steps: bool = True,
    on_done: Callable[[Record, int, int], None] = lambda record, done, of: None,
) -> dict[str, Record]:
    """Train what is not finished and return the record of every cell by its name.

    Where a training with recorded steps (CUDA graphs) fails on a GPU, it goes on with ordinary ones.

    Args:
        cells: the grid, in the order in which it is trained; two cells of the same configuration are one run.
        runs: folder of the run directories, which other studies may share.
        executor: processes of this machine, or jobs of a Slurm cluster through submitit.
        jobs: runs at once; on this machine each has its share of the cores, and 1 stays in this process without a GPU.
        budget: the time in which to train; what it does not allow is "open" in its record.
        recorded_steps: whether to record steps on a GPU.
        on_done: called in this process after each run, with how many are done of how many.

    Raises:
        InputError: no such executor here, or another training in the folder of a cell.
    """
    wanted = {cell_name(cell.config): replace(cell.config, recorded_steps=recorded_steps) for cell in cells}
    runs.mkdir(parents=True, exist_ok=True)
    for name, config in wanted.items():
        _check_same(runs / name, config)
    done = {name: record_of(Run.open(runs / name)) for name in wanted if finished(runs / name)}

    def train_all(configs: dict[str, TrainConfig]) -> None:
        calls = {name: (asdict(config), str(runs / name), budget.deadline) for name, config in configs.items()}
        ended = run_all(
            train_cell,
            calls,
            executor,
            jobs,
            runs / "slurm",
            may_start=lambda name: budget.allows(wanted[name], list(done.values())),
            own_processes=_has_gpu(),
        )
        for name, error in ended:
            done[name] = _record_of(runs / name, error)
            on_done(done[name], len(done), len(wanted))

    train_all({name: config for name, config in wanted.items() if name not in done})
    again = {name: wanted[name] for name, record in done.items() if wanted[name].recorded_steps and _blames_gpu(record)}
    train_all({name: replace(config, recorded_steps=False) for name, config in again.items()})
    return {name: done.get(name) or _not_begun(name, config) for name, config in wanted.items()}


def train_cell(config: dict[str, Any], path: str, deadline: float, threads: int) -> None:
    """Train one cell in this process; whatever goes wrong is written into its summary.

    Raises:
        OutOfTime: at `deadline`, in unix seconds.
    """
    import torch

    from lcfs.training.loop import Diverged, Progress, train

    if threads:
        torch.set_num_threads(threads)
    place, wanted = Path(path), from_dict(config)
    started = (place / "config.json").exists()
    if started:
        (place / "summary.json").unlink(missing_ok=True)  # of an attempt that failed
        _choose_steps(Run.open(place), wanted.recorded_steps)

    def stop_in_time(progress: Progress) -> None:
        if time.time() > deadline and progress.epoch < progress.epochs:
            raise OutOfTime(f"the hours are over in epoch {progress.epoch} of {progress.epochs}; start again to go on")

    try:
        train(wanted, place, resume=started, on_epoch=stop_in_time)
    except Diverged:
        pass  # train wrote it down
    except OutOfTime:
        raise
    except Exception as error:
        if (place / "config.json").exists():
            reason = f"{type(error).__name__}: {error}"
            Run.open(place).write_summary({"status": "failed", "metrics": {}, "tags": {"reason": reason}})
        raise


def _check_same(path: Path, config: TrainConfig) -> None:
    """Names are short digests, and a default may have changed since."""
    if (path / "config.json").exists() and differences(Run.open(path).config()) != differences(config):
        raise InputError(f"{path} holds another training than the cell of that name; choose another --runs")


def _choose_steps(run: Run, recorded_steps: bool) -> None:
    """Let a run that was begun go on with recorded or with ordinary steps, which give the same net."""
    config = run.config()
    if config.recorded_steps != recorded_steps:
        text = json.dumps(to_dict(replace(config, recorded_steps=recorded_steps)), indent=1) + "\n"
        write_text_atomically(text, run.path / "config.json")


def _record_of(path: Path, error: BaseException | None) -> Record:
    if error is not None:
        _check_written(path, error)
    record = record_of(Run.open(path))
    return replace(record, status="open", reason=str(error)) if isinstance(error, OutOfTime) else record


def _not_begun(name: str, config: TrainConfig) -> Record:
    return Record(name, "open", to_dict(config), {}, {}, {}, reason="no time is left for it")


def _blames_gpu(record: Record) -> bool:
    return record.status == "failed" and record.environment.get("gpu", "none") != "none"


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _check_written(path: Path, error: BaseException) -> None:
    """A failure that is in no summary is the user's to repair, as missing data."""
    if not (path / "config.json").exists():
        raise InputError(str(error)) from error


def finished(path: Path) -> bool:
    """Ended for good: a run that diverged would diverge again, one that failed may have lacked memory or disk."""
    if not (path / "config.json").exists():
        return False
    return (Run.open(path).summary() or {}).get("status") in ("finished", "diverged")
