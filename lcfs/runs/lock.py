"""The lock on a run directory: one process trains it at a time, and one that dies frees it."""

import contextlib
import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lcfs.errors import InputError

NAME = "train.lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_PATIENCE = 0.5  # seconds: whoever only asks who holds the lock holds it for a moment


class Busy(InputError):
    """A run directory that another process, `holder`, is training just now."""

    def __init__(self, message: str, holder: str = "another process") -> None:
        super().__init__(message)
        self.holder = holder


@contextmanager
def training_lock(path: Path) -> Iterator[None]:
    """Hold the run directory `path` for training; the system frees it when this process ends, however it ends.

    On a file system without locks it is not held, and two processes must not train the same run.

    Raises:
        Busy: another process holds it.
        InputError: the directory cannot be written.
    """
    try:
        handle = (path / NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); make it writable or choose another") from error
    with handle:
        if not _taken(handle, fcntl.LOCK_EX, _PATIENCE):
            holder = _said(handle)
            raise Busy(f"{path} is being trained by {holder}; wait until it has ended, or end it", holder)
        with contextlib.suppress(OSError):  # on a full disk; the name of the holder is a courtesy
            handle.truncate(0)
            handle.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            handle.flush()
        yield


def trained_by(path: Path) -> str | None:
    """Who is training the run directory `path` just now, or None if nobody is."""
    try:
        with (path / NAME).open(encoding="utf-8") as handle:
            return None if _taken(handle, fcntl.LOCK_SH, 0) else _said(handle)
    except OSError:
        return None


def _taken(handle: IO[str], kind: int, patience: float) -> bool:
    """Whether the lock could be had within some seconds; true on a file system without locks."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return True
        else:
            return True


def _said(handle: IO[str]) -> str:
    handle.seek(0)
    return handle.read().strip() or "another process"
