"""Writing of files as a whole or not at all: whoever reads one sees the old content or the new, never a part."""

import contextlib
import fcntl
import glob
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch

from lcfs.errors import InputError, reason


def save_atomically(state: Any, path: Path) -> None:
    """`torch.save` to a temporary file in the same folder, then rename; on failure the old file is untouched.

    Raises: InputError if it cannot be written (full disk, no permission).
    """
    _replace(path, lambda handle: torch.save(state, handle))


def write_text_atomically(text: str, path: Path) -> None:
    """Write a text file in UTF-8 as `save_atomically` writes a checkpoint."""
    write_bytes_atomically(text.encode(), path)


def write_bytes_atomically(content: bytes, path: Path) -> None:
    """Write bytes as `save_atomically` writes a checkpoint."""
    _replace(path, lambda handle: handle.write(content))


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they are missing. Raises InputError if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made a folder ({error.strerror}); choose another one") from error


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers left in a folder: their temporary files; those of living ones are locked, and stay.

    Args:
        name: of the file that was to be written; by default any.
    """
    for file in folder.glob(f".{'*' if name is None else glob.escape(name)}.*.tmp"):
        with contextlib.suppress(OSError), file.open("rb+") as handle:  # locked, gone, or in a folder that is read-only
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, file):
                file.unlink()


class _Remembering:
    """A file that remembers why a write failed, which torch's zip writer says in C++."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return self._handle.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._handle.flush()


def _replace(path: Path, write: Callable[[Any], Any]) -> None:
    remembering: _Remembering | None = None
    try:
        remove_leftovers(path.parent, path.name)
        with _temporary(path) as (handle, temporary):
            remembering = _Remembering(handle)
            write(remembering)
            handle.flush()
            os.fsync(handle.fileno())
            os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as a RuntimeError
        cause = remembering.error if remembering and remembering.error else error
        why = reason(cause)
        raise InputError(f"{path} cannot be written ({why}); make room or choose another folder") from error


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file beside `path`, locked as long as its writer lives, and removed unless it has been renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident():x}.tmp")
    while True:
        with temporary.open("wb") as handle:
            with contextlib.suppress(OSError):  # a file system without locks: then leftovers stay
                fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_at(handle, temporary):
                continue  # taken for a leftover before it was locked
            try:
                yield handle, temporary
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
            return


def _is_at(handle: IO[bytes], file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), file.stat())
    except FileNotFoundError:
        return False
