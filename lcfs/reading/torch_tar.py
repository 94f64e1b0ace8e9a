"""Torch's format of 2016: a tar archive of storages, tensors and a pickle. Source: torch.serialization, legacy_load."""

import struct
import tarfile
from typing import Any

from torch import Tensor

from lcfs.reading.opening import Opened, Window
from lcfs.reading.storages import INTEGERS_OF, STORAGES, Storage, from_bytes, is_size, strided
from lcfs.reading.unpickling import Machine
from lcfs.reading.values import Global, MalformedError

_PARTS = ("storages", "tensors", "pickle")


def read_torch_tar(opened: Opened, met: dict[str, None]) -> Any:
    """The value of the file. Raises MalformedError for a tar archive of anything else."""
    content, places = opened.content, _places(opened)
    storages = _storages(content, *places["storages"])
    tensors = _tensors(content, *places["tensors"], storages)

    def persistent(key: Any) -> Any:
        if isinstance(key, tuple):
            return key[0] if key else None
        number = int(key) if isinstance(key, str | int) else -1
        if number not in tensors and number not in storages:
            raise MalformedError("its pickle mentions a tensor that is not in it")
        return tensors.get(number, storages.get(number))

    begin, size = places["pickle"]
    machine = Machine(Window(memoryview(content)[begin : begin + size]), persistent)
    try:
        return machine.load()
    finally:
        met.update(machine.met)


def _places(opened: Opened) -> dict[str, tuple[int, int]]:
    places: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(fileobj=Window(opened.content), mode="r:") as archive:  # type: ignore[arg-type]
            while len(places) < len(_PARTS) and (member := archive.next()) is not None:
                if member.name in _PARTS and member.isreg():
                    places[member.name] = (member.offset_data, member.size)
    except (tarfile.TarError, ValueError, OSError, LookupError, OverflowError) as error:
        raise MalformedError(f"its tar archive is damaged ({str(error)[:60]})") from None
    if len(places) < len(_PARTS):
        raise MalformedError("it is a tar archive without torch's storages, tensors and pickle: unpack it")
    if any(begin + size > len(opened.content) for begin, size in places.values()):
        raise MalformedError("its tar archive is incomplete")
    return places


def _storages(content: Any, begin: int, size: int) -> dict[int, Storage]:
    stream = Window(memoryview(content)[begin : begin + size])
    machine = Machine(stream)
    found: dict[int, Storage] = {}
    for _ in range(_count(machine.load())):
        entry = machine.load()
        kind = entry[2].name if isinstance(entry, tuple) and len(entry) == 3 and isinstance(entry[2], Global) else ""
        if kind not in STORAGES or STORAGES[kind] in INTEGERS_OF or not isinstance(entry[0], int):
            raise MalformedError("it holds a storage of a type that is not read")
        (count,) = struct.unpack("<q", _exactly(stream, 8))
        width = STORAGES[kind].itemsize
        if not 0 <= count * width <= size - stream.tell():
            raise MalformedError("it ends before its last numbers: it is incomplete")
        found[entry[0]] = Storage(from_bytes(content, begin + stream.tell(), count * width), STORAGES[kind])
        stream.seek(count * width, 1)
    views = machine.load()
    for view in views if isinstance(views, list) else ():
        if not (isinstance(view, tuple) and len(view) == 4 and view[1] in found and is_size(view[2])):
            raise MalformedError("a part of a storage reaches beyond it")
        root, width = found[view[1]], found[view[1]].dtype.itemsize
        if not is_size(view[3]) or (view[2] + view[3]) * width > len(root.content):
            raise MalformedError("a part of a storage reaches beyond it")
        found[view[0]] = Storage(root.content[view[2] * width : (view[2] + view[3]) * width], root.dtype)
    return found


def _tensors(content: Any, begin: int, size: int, storages: dict[int, Storage]) -> dict[int, Tensor]:
    stream = Window(memoryview(content)[begin : begin + size])
    machine = Machine(stream)
    found: dict[int, Tensor] = {}
    for _ in range(_count(machine.load())):
        entry = machine.load()
        if not (isinstance(entry, tuple) and len(entry) == 3 and isinstance(entry[0], int) and entry[1] in storages):
            raise MalformedError("a tensor has no storage")
        (axes,) = struct.unpack("<i4x", _exactly(stream, 8))
        if not 0 <= axes <= 64:
            raise MalformedError(f"a tensor has {axes} axes")
        shape = struct.unpack(f"<{axes}q", _exactly(stream, 8 * axes))
        steps = struct.unpack(f"<{axes}q", _exactly(stream, 8 * axes))
        (offset,) = struct.unpack("<q", _exactly(stream, 8))
        storage = storages[entry[1]]
        found[entry[0]] = strided(storage.typed(storage.dtype), offset, shape, steps)
    return found


def _exactly(stream: Window, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise MalformedError("it ends before its last numbers: it is incomplete")
    return found


def _count(value: Any) -> int:
    if not is_size(value) or value > 1 << 24:
        raise MalformedError("it does not say how many tensors it holds")
    return value
