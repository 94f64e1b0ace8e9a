"""Opening of a file that is to be read: regular files only, and what is obviously something else by its first bytes."""

import mmap
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcfs.errors import InputError

_NORESERVE = 0x4000 if os.uname().sysname == "Linux" else 0  # mmap's, of which Python 3.11 has no name
_OTHERS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", "save its arrays with numpy.savez and name that file"),
    (b"GGUF", "a GGUF file (llama.cpp)", "name the safetensors that it was made from"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it and name what comes out"),
    (b"BZh", "compressed with bzip2", "unpack it and name what comes out"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it and name what comes out"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it and name what comes out"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it and name what comes out"),
    (b"%PDF", "a PDF document", "name the checkpoint"),
    (b"\x7fELF", "a program", "name the checkpoint"),
)


@dataclass(frozen=True)
class Opened:
    """A regular file as a private, writable map of its bytes: what is written there never reaches the file."""

    path: Path
    content: mmap.mmap

    @property
    def head(self) -> bytes:
        """Its first 512 bytes."""
        return self.content[:512]


class Window:
    """Bytes as a file to read, with a position of its own."""

    def __init__(self, content: Any) -> None:
        self._content, self._at = content, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, as a file does."""
        self._at = offset + (0, self._at, len(self._content))[whence]
        if self._at < 0:
            raise OSError("a position before the beginning")
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes, all by default."""
        end = len(self._content) if size is None or size < 0 else self._at + size
        found = bytes(self._content[self._at : end])
        self._at += len(found)
        return found

    def readline(self) -> bytes:
        """The next bytes up to the end of a line."""
        at, line = self._at, b""
        while not line.endswith(b"\n") and (piece := self.read(256)):
            line += piece.partition(b"\n")[0] + (b"\n" if b"\n" in piece else b"")
        self._at = at + len(line)
        return line

    def seekable(self) -> bool:
        """Always."""
        return True


def open_file(path: Path) -> Opened:
    """Map a file. Raises InputError for folders, devices, pipes, empty files, web pages and other formats."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read ({reason}); check the name") from None
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise InputError(f"{path} is a folder, not a checkpoint; name a file in it")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is a pipe, a socket or a device, not a file; copy what it gives into a file")
        if not found.st_size:
            raise InputError(f"{path} is empty; fetch or write it again")
        flags, rights = mmap.MAP_PRIVATE | _NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        opened = Opened(path, mmap.mmap(descriptor, found.st_size, flags=flags, prot=rights))
    except OSError as error:
        raise InputError(f"{path} cannot be mapped ({error.strerror}); copy it to a local disk") from None
    finally:
        os.close(descriptor)
    _refuse_others(opened)
    return opened


def _refuse_others(opened: Opened) -> None:
    path, head = opened.path, opened.head
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError(f"{path} is an HTML page, not a checkpoint: its download went wrong; fetch it again")
    if start.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path} is a git-LFS pointer, not the checkpoint itself; run git lfs pull where it comes from"
        )
    for magic, what, remedy in _OTHERS:
        if head.startswith(magic):
            raise InputError(f"{path} is {what}, not a checkpoint that can be read; {remedy}")
