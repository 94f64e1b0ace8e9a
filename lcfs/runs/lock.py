"""The lock on a run directory: one process trains it at a time, and one that dies frees it."""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lcfs.errors import InputError

NAME = "train.lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Busy(InputError):
    """A run directory that another process is training just now."""


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
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            raise Busy(f"{path} is being trained by {holder}; wait until it has ended, or end it") from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        with contextlib.suppress(OSError):  # on a full disk; the name of the holder is a courtesy
            handle.truncate(0)
            handle.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            handle.flush()
        yield
