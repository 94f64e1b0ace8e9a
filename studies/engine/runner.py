"""Training the cells of a grid: finished ones are skipped, interrupted ones resumed, a failed one stops no other."""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lcfs.config import TrainConfig, from_dict, to_dict
from lcfs.errors import InputError
from lcfs.interrupts import Interrupted, signal_of
from lcfs.runs import Run
from lcfs.runs.atomic import make_folder, write_text_atomically
from lcfs.runs.lock import Busy, trained_by
from studies.engine.budget import Budget, OutOfTime
from studies.engine.configurations import cell_name, differences
from studies.engine.executors import ExecutorName, run_all
from studies.engine.records import Record, record_of
from studies.engine.refusals import Refusals
from studies.engine.study import Cell
from studies.engine.waiting import take_when_free
from studies.engine.workers import WorkerDied

_ANY_TIME = Budget()


def run_cells(
    cells: Sequence[Cell],
    runs: Path,
    *,
    executor: ExecutorName = "local",
    jobs: int = 1,
    threads: int = 1,
    budget: Budget = _ANY_TIME,
    recorded_steps: bool = True,
    on_done: Callable[[Record, int, int], None] = lambda record, done, of: None,
) -> dict[str, Record]:
    """Train what is not finished and return the record of every cell by its name.

    Where a training with recorded steps (CUDA graphs) fails on a GPU, it goes on with ordinary ones. A cell that is
    trained by another process is left to it, and waited for at the end.

    Args:
        cells: the grid, in the order in which it is trained; two cells of the same configuration are one run.
        runs: folder of the run directories, which other studies may share.
        executor: processes of this machine, or jobs of a Slurm cluster through submitit.
        jobs: runs at once; on this machine 1 stays in this process without a GPU.
        threads: of torch in each run that begins; one that goes on keeps the number it began with. 0 for torch's own.
        budget: the time in which to train; what it does not allow is "open" in its record.
        recorded_steps: whether to record steps on a GPU.
        on_done: called in this process after each run, with how many are done of how many.

    Raises:
        InputError: no such executor here, another training in the folder of a cell, or what is in the way of all
            cells, as missing data.
    """
    wanted = {cell_name(cell.config): replace(cell.config, recorded_steps=recorded_steps) for cell in cells}
    make_folder(runs)
    for name, config in wanted.items():
        _check_same(runs / name, config)
    done = {name: record_of(Run.open(runs / name)) for name in wanted if finished(runs / name)}
    busy: set[str] = set()
    refusals = Refusals()

    def train_all(configs: dict[str, TrainConfig]) -> None:
        calls = {name: (asdict(config), str(runs / name), budget.deadline) for name, config in configs.items()}
        ended = run_all(
            train_cell,
            calls,
            executor,
            jobs,
            runs / "slurm",
            threads=0 if _has_gpu() else threads,
            may_start=lambda name: budget.allows(wanted[name], list(done.values())),
            own_processes=_has_gpu(),
        )
        with contextlib.closing(ended):
            for name, error in ended:
                if isinstance(error, Busy):
                    busy.add(name)
                    continue
                refusals.note(runs / name, error)
                done[name] = _record_of(runs / name, configs[name], error)
                on_done(done[name], len(done), len(wanted))

    try:
        train_all({name: config for name, config in wanted.items() if name not in done})
        refusals.check(len(done))
        again = [name for name, record in done.items() if wanted[name].recorded_steps and _blames_gpu(record)]
        train_all({name: replace(wanted[name], recorded_steps=False) for name in again})
        for name in take_when_free(busy, runs, budget):
            train_all({name: wanted[name]})  # which does nothing but measure, if the other process has finished it
    except KeyboardInterrupt as error:
        raise Interrupted(signum=signal_of(error)) from None  # what goes on with a cell goes on with one cell
    return {name: done.get(name) or _not_begun(name, config) for name, config in wanted.items()}


def train_cell(config: dict[str, Any], path: str, deadline: float, threads: int) -> None:
    """Train one cell in this process; whatever goes wrong with it is written into its summary.

    Raises:
        OutOfTime: at `deadline`, in unix seconds.
        Busy: another process is training it.
    """
    import torch

    from lcfs.training.loop import Diverged, Progress, train

    place, wanted = Path(path), from_dict(config)
    if other := trained_by(place):
        raise Busy(f"{place} is being trained by {other}", other)
    started = (place / "config.json").exists()
    if started:
        _choose_steps(Run.open(place), wanted.recorded_steps)

    def stop_in_time(progress: Progress) -> None:
        if time.time() > deadline and progress.epoch < progress.epochs:
            raise OutOfTime(f"the hours are over in epoch {progress.epoch} of {progress.epochs}; start again to go on")

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads or before)
        train(wanted, place, resume=started, on_epoch=stop_in_time)
    except Diverged:
        pass  # train wrote it down
    except (OutOfTime, Busy):
        raise
    except Exception as error:
        if (place / "config.json").exists():
            reason = f"{type(error).__name__}: {error}"
            with contextlib.suppress(InputError):  # the disk is full
                Run.open(place).write_summary({"status": "failed", "metrics": {}, "tags": {"reason": reason}})
        raise
    finally:
        torch.set_num_threads(before)


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


def _record_of(path: Path, config: TrainConfig, error: BaseException | None) -> Record:
    if not (path / "config.json").exists():
        return Record(path.name, "open", to_dict(config), {}, {}, {}, reason=str(error))
    record = record_of(Run.open(path))
    if isinstance(error, OutOfTime | KeyboardInterrupt):
        return replace(record, status="open", reason=str(error))
    return replace(record, reason=str(error)) if isinstance(error, WorkerDied) else record


def _not_begun(name: str, config: TrainConfig) -> Record:
    return Record(name, "open", to_dict(config), {}, {}, {}, reason="no time is left for it")


def _blames_gpu(record: Record) -> bool:
    return record.status == "failed" and record.environment.get("gpu", "none") != "none"


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def finished(path: Path) -> bool:
    """Ended for good: a run that diverged would diverge again, one that failed may have lacked memory or disk."""
    if not (path / "config.json").exists():
        return False
    return (Run.open(path).summary() or {}).get("status") in ("finished", "diverged")
