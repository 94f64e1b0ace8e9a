"""Writing of files as a whole or not at all: whoever reads one sees the old content or the new, never a part."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch

from lcfs.errors import InputError, brief


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


def _replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            write(handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as a RuntimeError
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written ({brief(error)}); make room or choose another folder") from error
