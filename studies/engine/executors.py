"""Where the cells of a grid are trained: in this process, in processes of this machine, or as jobs of a Slurm cluster.

Each takes calls by name and yields (name, what the call raised or None) as they end; a call that may not start is left
out. Closing the iterator calls off what has not begun.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from lcfs.errors import InputError

ExecutorName = Literal["local", "slurm"]
Calls = Mapping[str, tuple[Any, ...]]
Ended = Iterator[tuple[str, BaseException | None]]
MayStart = Callable[[str], bool]

_POLL_SECONDS = 2.0
_MINUTES = 24 * 60


def run_all(
    function: Callable[..., None],
    calls: Calls,
    executor: ExecutorName,
    jobs: int,
    folder: Path,
    *,
    may_start: MayStart = lambda name: True,
    own_processes: bool = False,
) -> Ended:
    """Call `function(*arguments, threads)` for all of `calls`.

    Args:
        function: of a module that another process can import; threads 0 leaves torch's number as it is.
        calls: arguments by name.
        executor: local or slurm.
        jobs: calls at once; on one machine each has its share of the cores, and 1 stays in this process.
        folder: where Slurm's scripts and logs go.
        may_start: asked right before each call, by its name; by Slurm for all of them at submission.
        own_processes: a new process for each call on this machine, since an error on a GPU can leave its process
            without the use of it, and a crash of one must not take others along.

    Raises:
        InputError: slurm without submitit.
    """
    if executor == "slurm":
        allowed = {name: arguments for name, arguments in calls.items() if may_start(name)}
        return _on_slurm(function, allowed, jobs, folder) if allowed else iter(())
    if not calls:
        return iter(())
    if jobs == 1 and not own_processes:
        return _here(function, calls, may_start)
    return _in_processes(function, calls, jobs, may_start, own_processes)


def _here(function: Callable[..., None], calls: Calls, may_start: MayStart) -> Ended:
    for name, arguments in calls.items():
        if not may_start(name):
            continue
        try:
            function(*arguments, 0)
        except Exception as error:
            yield name, error
        else:
            yield name, None


def _in_processes(
    function: Callable[..., None], calls: Calls, jobs: int, may_start: MayStart, own_processes: bool
) -> Ended:
    threads, spawn = max((os.cpu_count() or 1) // jobs, 1), get_context("spawn")
    shared = None if own_processes else ProcessPoolExecutor(jobs, mp_context=spawn)

    def call(name: str) -> tuple[bool, BaseException | None]:
        """(whether it was started, what it raised); one thread of this process waits for each call."""
        if not may_start(name):
            return False, None
        pool = shared or ProcessPoolExecutor(1, mp_context=spawn)
        try:
            return True, pool.submit(function, *calls[name], threads).exception()
        finally:
            if shared is None:
                pool.shutdown()

    waiting = ThreadPoolExecutor(jobs)
    try:
        futures = {waiting.submit(call, name): name for name in calls}
        for future in as_completed(futures):
            started, error = future.result()
            if started:
                yield futures[future], error
    finally:
        waiting.shutdown(wait=False, cancel_futures=True)
        if shared is not None:
            shared.shutdown(cancel_futures=True)


def _on_slurm(function: Callable[..., None], calls: Calls, jobs: int, folder: Path) -> Ended:
    """One array of jobs; Slurm's SBATCH_PARTITION, SBATCH_GPUS and so on choose what they run on."""
    try:
        import submitit
    except ImportError as error:
        raise InputError("--executor slurm needs submitit; pip install submitit") from error
    try:
        cluster = submitit.AutoExecutor(folder=folder, cluster="slurm")
        cluster.update_parameters(slurm_array_parallelism=jobs, timeout_min=_MINUTES, name="lcfs")
        with cluster.batch():
            submitted = {name: cluster.submit(function, *arguments, 0) for name, arguments in calls.items()}
    except (RuntimeError, submitit.core.utils.FailedJobError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise InputError(
            f"Slurm took no job ({reason}); check that sbatch works here, or use --executor local"
        ) from error
    return _as_they_end(submitted)


def _as_they_end(jobs: dict[str, Any]) -> Ended:
    try:
        while jobs:
            ended = [name for name, job in jobs.items() if job.done()]
            for name in ended:
                yield name, jobs.pop(name).exception()
            if not ended:
                time.sleep(_POLL_SECONDS)
    finally:
        for job in jobs.values():
            job.cancel()
