"""Interruptions: Ctrl-C and SIGTERM ask for an end, and whoever is asked says how to go on."""

import os
import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """An end that was asked for; its message says what was reached and holds the whole command to go on.

    Args:
        message: one sentence.
        signum: the signal that asked.
    """

    def __init__(self, message: str = "", signum: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.signum = signum


def signal_of(error: KeyboardInterrupt) -> int:
    """The signal that asked for an end; SIGINT where Python itself raised the exception."""
    return getattr(error, "signum", signal.SIGINT)


def raise_on_sigterm() -> None:
    """Let SIGTERM (Slurm, Docker) end this process as Ctrl-C does: by an `Interrupted` at whatever is being done."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise Interrupted(signum=signum)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


class Patience:
    """A context in which the first Ctrl-C or SIGTERM is only noted, in `asked`; a second one ends the process at once.

    Outside the main thread, where signals cannot be had, nothing is ever asked.

    Args:
        promise: what is still done before the end, said on standard error when the first signal comes.
    """

    def __init__(self, promise: str) -> None:
        self.asked: int | None = None
        self._promise = promise
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Patience":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.asked = signum
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        line = f"lcfs: {signal.Signals(signum).name}: {self._promise}; a second signal ends it at once\n"
        os.write(2, line.encode())  # printing may be what was interrupted
