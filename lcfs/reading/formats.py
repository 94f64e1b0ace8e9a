"""What kind of file it is, by its content and never by its name, and the value that it holds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lcfs.errors import InputError
from lcfs.reading import numpy_files, torch_tar
from lcfs.reading.opening import Opened, open_file
from lcfs.reading.safetensors_file import looks_like_safetensors, read_safetensors
from lcfs.reading.torch_legacy import looks_legacy, read_pickle, read_torch_legacy
from lcfs.reading.torch_zip import read_torch_script, read_torch_zip
from lcfs.reading.values import MalformedError
from lcfs.reading.zips import Archive

_SAVE = "save only the tensors, with torch.save(model.state_dict(), PATH), and name that file"
_PICKLES = (b"\x80", b"(", b"c", b"}", b"]", b"l", b"d", b"N", b"I", b"F", b"V", b"S")


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        kind: what it is, in words.
        value: tensors, numbers, text and containers of them; `Stub` and `Unread` for the rest.
        met: classes and functions of a pickle that became stubs.
        metadata: text that the writer of a safetensors file put beside the tensors.
    """

    kind: str
    value: Any
    met: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def read_contents(path: Path) -> Contents:
    """The contents of a file of any known kind; nothing in it is run.

    Raises:
        InputError: it is missing, damaged, no regular file, or of a kind that is not read.
    """
    opened = open_file(path)
    try:
        return _read(opened)
    except MalformedError as error:
        raise InputError(f"{path} is damaged or no checkpoint: {error}; fetch or write it again") from None
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path} needs more memory than there is; use a larger machine") from None
    except Exception as error:  # whatever a mutilated file makes fail, it is one sentence
        reason = (str(error).strip().splitlines() or [""])[0][:120]
        raise InputError(
            f"{path} is damaged or no checkpoint ({type(error).__name__}: {reason}); fetch or write it again"
        ) from error


def _read(opened: Opened) -> Contents:
    head, size = opened.head, len(opened.content)
    met: dict[str, None] = {}
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _read_zip(opened, Archive(opened), met)
    if looks_like_safetensors(head, size):
        found = read_safetensors(opened)
        return Contents("safetensors", found.tensors, metadata=found.metadata)
    if head.startswith(numpy_files.MAGIC):
        return Contents("an array of numpy's", {"array": numpy_files.read_npy(opened.content)})
    if looks_legacy(head):
        return Contents("a torch file of before 1.6", read_torch_legacy(opened, met), tuple(met))
    if head[257:262] == b"ustar" or head.startswith(b"storages\0"):
        return Contents("a torch file of 2016", torch_tar.read_torch_tar(opened, met), tuple(met))
    if head.startswith(_PICKLES):
        return Contents("a pickle", read_pickle(opened, met), tuple(met))
    raise MalformedError("it begins like no kind of file that is known (torch, safetensors, numpy, pickle)")


def _read_zip(opened: Opened, archive: Archive, met: dict[str, None]) -> Contents:
    names = archive.names
    pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
    if any(
        name.rpartition("/")[2] in ("archive_format", "model.json", "serialized_exported_program.json")
        for name in names
    ):
        raise InputError(f"{opened.path} is an exported program (torch.export or TorchScript of 2018); {_SAVE}")
    if len(pickles) == 1 and f"{pickles[0].removesuffix('data.pkl')}constants.pkl" in archive:
        return Contents("a TorchScript archive", read_torch_script(archive, pickles[0], met), tuple(met))
    if len(pickles) == 1:
        return Contents("a torch file", read_torch_zip(archive, pickles[0], met), tuple(met))
    if names and all(name.endswith(".npy") for name in names):
        return Contents("arrays of numpy's", numpy_files.read_npz(archive))
    some = ", ".join(name[:40] for name in names[:3])
    raise InputError(
        f"{opened.path} is a zip archive of something else ({some or 'nothing'}), not a checkpoint; "
        "unpack it and name the checkpoint in it"
    )
