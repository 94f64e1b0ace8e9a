"""Where the cells of a grid are trained: in this process, in processes of this machine, or as jobs of a Slurm cluster.

Each takes calls by name and yields (name, what the call raised or None) as they end; a call that may not start is left
out. Closing the iterator calls off what has not begun.
"""

import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

from lcfs.errors import InputError
from studies.engine.workers import Worker

ExecutorName = Literal["local", "slurm"]
Calls = Mapping[str, tuple[Any, ...]]
Ended = Generator[tuple[str, BaseException | None]]
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
    threads: int = 1,
    may_start: MayStart = lambda name: True,
    own_processes: bool = False,
) -> Ended:
    """Call `function(*arguments, threads)` for all of `calls`.

    Args:
        function: of a module that another process can import.
        calls: arguments by name.
        executor: local or slurm.
        jobs: calls at once; on one machine 1 stays in this process.
        folder: where Slurm's scripts and logs go.
        threads: of torch in each call, whatever `jobs` is, since sums are rounded otherwise with another number; 0
            leaves torch's number as it is.
        may_start: asked right before each call, by its name; by Slurm for all of them at submission.
        own_processes: a new process for each call on this machine, since an error on a GPU can leave its process
            without the use of it, and a crash of one must not take others along.

    Raises:
        InputError: slurm without submitit.
    """
    if executor == "slurm":
        allowed = {name: arguments for name, arguments in calls.items() if may_start(name)}
        return _on_slurm(function, allowed, jobs, folder, threads) if allowed else _as_they_end({})
    options = _Options(threads, may_start, own_processes)
    if jobs == 1 and not own_processes:
        return _here(function, calls, options)
    return _in_processes(function, calls, jobs, options)


@dataclass(frozen=True)
class _Options:
    threads: int
    may_start: MayStart
    own_processes: bool


def _here(function: Callable[..., None], calls: Calls, options: _Options) -> Ended:
    for name, arguments in calls.items():
        if not options.may_start(name):
            continue
        try:
            function(*arguments, options.threads)
        except Exception as error:
            yield name, error
        else:
            yield name, None


def _in_processes(function: Callable[..., None], calls: Calls, jobs: int, options: _Options) -> Ended:
    workers: list[Worker] = []
    free: SimpleQueue[Worker] = SimpleQueue()
    changing, ending = threading.Lock(), False

    def call(name: str) -> tuple[bool, BaseException | None]:
        """(whether it was started, what it raised); one thread of this process waits for each call."""
        if not options.may_start(name):
            return False, None
        try:
            worker = free.get_nowait()
        except Empty:
            with changing:
                if ending:
                    return False, None
                worker = Worker()
                workers.append(worker)
        error = worker.call(function, (*calls[name], options.threads))
        if options.own_processes or not worker.alive:
            worker.end()
        else:
            free.put(worker)
        return True, error

    waiting = ThreadPoolExecutor(jobs)
    try:
        futures = {waiting.submit(call, name): name for name in calls}
        for future in as_completed(futures):
            started, error = future.result()
            if started:
                yield futures[future], error
    finally:
        waiting.shutdown(wait=False, cancel_futures=True)
        with changing:
            ending = True
        for worker in workers:
            worker.ask_to_end()
        for worker in workers:
            worker.end()


def _on_slurm(function: Callable[..., None], calls: Calls, jobs: int, folder: Path, threads: int) -> Ended:
    """One array of jobs; Slurm's SBATCH_PARTITION, SBATCH_GPUS and so on choose what they run on."""
    try:
        import submitit
    except ImportError as error:
        raise InputError("--executor slurm needs submitit; pip install submitit") from error
    try:
        cluster = submitit.AutoExecutor(folder=folder, cluster="slurm")
        cluster.update_parameters(slurm_array_parallelism=jobs, timeout_min=_MINUTES, name="lcfs")
        with cluster.batch():
            submitted = {name: cluster.submit(function, *arguments, threads) for name, arguments in calls.items()}
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
