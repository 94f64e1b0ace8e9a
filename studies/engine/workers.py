"""Processes of this machine that make one call after the other: one that dies takes no call but its own along, and all
end with the process that started them."""

import contextlib
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from lcfs.interrupts import raise_on_sigterm

_GRACE_SECONDS = 120.0  # in which a training that is asked to end writes its checkpoint


class WorkerDied(RuntimeError):
    """A worker ended in the middle of a call, without an exception."""


class Worker:
    """A process that makes the calls it is given; Ctrl-C in a terminal reaches its parent alone."""

    def __init__(self) -> None:
        spawn = get_context("spawn")
        self._calls, theirs = spawn.Pipe()
        # Never written to: whoever started the worker closes it, or dies, and the worker reads the end of it.
        kept, self._lifeline = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_serve, args=(theirs, kept), daemon=True)
        self._process.start()
        theirs.close()
        kept.close()

    def call(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> BaseException | None:
        """What the call raised, or None; a `WorkerDied` if the process has died, and with it this worker."""
        try:
            self._calls.send((function, arguments))
            return self._calls.recv()
        except (EOFError, OSError):
            self._process.join()
            return WorkerDied(_how_it_died(self._process.exitcode))

    @property
    def alive(self) -> bool:
        """Whether it takes another call."""
        return self._process.is_alive()

    def ask_to_end(self) -> None:
        """Let a training write its checkpoint and end; once is enough."""
        self._lifeline.close()

    def end(self, seconds: float = _GRACE_SECONDS) -> None:
        """Ask and wait, and kill what takes longer."""
        self.ask_to_end()
        try:
            self._process.join(seconds)
        finally:
            self._process.kill()
            self._process.join()
            self._calls.close()


def _serve(calls: Connection, lifeline: Connection) -> None:
    with contextlib.suppress(OSError):
        os.setsid()  # so that a terminal's Ctrl-C, and its second one, are the parent's to pass on
    raise_on_sigterm()
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            function, arguments = calls.recv()
            error = None
            try:
                function(*arguments)
            except BaseException as raised:
                error = raised
            calls.send(_portable(error))


def _end_with_parent(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # else it has been asked already
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


def _portable(error: BaseException | None) -> BaseException | None:
    """The same, or if it cannot be pickled and read back another with its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _how_it_died(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended by itself with code {code}"
    name = signal.Signals(-code).name
    short = ", as systems do that are short of memory; fewer --jobs need less" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{short}"
