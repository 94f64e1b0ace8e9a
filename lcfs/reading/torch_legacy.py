"""Torch's format before 1.6: several pickles in a row, then the numbers. Source: torch.serialization, _legacy_load."""

import mmap
import struct
from typing import Any

from lcfs.reading.opening import Opened
from lcfs.reading.storages import INTEGERS_OF, STORAGES, Storage, from_bytes, is_size
from lcfs.reading.unpickling import Machine
from lcfs.reading.values import Global, MalformedError, Unread

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001


def looks_legacy(head: bytes) -> bool:
    """Whether a file begins with the magic number, pickled in any protocol."""
    return _MAGIC.to_bytes(10, "little") in head[:32] or str(_MAGIC).encode() in head[:64]


def read_torch_legacy(opened: Opened, met: dict[str, None]) -> Any:
    """The value of the file. The pickles are read twice, since the numbers lie behind them."""
    finder = _Finder()
    content = opened.content
    content.seek(0)
    machine = Machine(content, finder.note)
    _header(machine)
    machine.load()
    keys = machine.load()
    places = _places(content, keys, finder.widths)
    content.seek(0)
    machine = Machine(content, lambda key: _storage(content, key, places))
    _header(machine)
    try:
        return machine.load()
    finally:
        met.update(machine.met)


def read_pickle(opened: Opened, met: dict[str, None]) -> Any:
    """The value of a bare pickle, which mentions no storages."""
    opened.content.seek(0)
    machine = Machine(opened.content)
    try:
        return machine.load()
    finally:
        met.update(machine.met)


class _Finder:
    """Notes the width of each storage's numbers, the first time over."""

    def __init__(self) -> None:
        self.widths: dict[Any, int] = {}

    def note(self, key: Any) -> Any:
        if _is_module(key):
            return key[1]
        kind, name, _ = _parts(key)
        if kind in STORAGES:
            self.widths.setdefault(name, INTEGERS_OF.get(STORAGES[kind], STORAGES[kind]).itemsize)
        return Unread("a tensor whose place is not known yet")


def _header(machine: Machine) -> None:
    if machine.load() != _MAGIC or machine.load() != _VERSION:
        raise MalformedError("it is of no known version of torch's format")
    system = machine.load()
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise MalformedError("its numbers are big-endian, which is not read: save it again on a little-endian machine")


def _places(content: mmap.mmap, keys: Any, widths: dict[Any, int]) -> dict[Any, tuple[int, int]]:
    """(first byte, number of bytes) of each storage: behind the pickles, each after its count in eight bytes."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise MalformedError("its list of storages is none")
    places: dict[Any, tuple[int, int]] = {}
    at = content.tell()
    for key in keys:
        if key not in widths:
            raise MalformedError("it holds a tensor of a type that is not read, or one that its pickle never mentions")
        if at + 8 > len(content):
            raise MalformedError("it ends before its last numbers: it is incomplete")
        (count,) = struct.unpack("<q", content[at : at + 8])
        size = count * widths[key]
        if count < 0 or at + 8 + size > len(content):
            raise MalformedError("it ends before its last numbers: it is incomplete")
        places[key] = (at + 8, size)
        at += 8 + size
    return places


def _storage(content: mmap.mmap, key: Any, places: dict[Any, tuple[int, int]]) -> Any:
    if _is_module(key):
        return key[1]
    kind, name, view = _parts(key)
    if kind not in STORAGES:
        return Unread(f"a tensor of {kind[:40]}, which is not read")
    if name not in places:
        raise MalformedError("its pickle mentions numbers that are not in it")
    begin, size = places[name]
    dtype = STORAGES[kind]
    if isinstance(view, tuple):  # a part of the storage, in elements
        width = INTEGERS_OF.get(dtype, dtype).itemsize
        if len(view) != 3 or not is_size(view[1]) or not is_size(view[2]) or (view[1] + view[2]) * width > size:
            raise MalformedError("a part of a storage reaches beyond it")
        begin, size = begin + view[1] * width, view[2] * width
    return Storage(from_bytes(content, begin, size), dtype)


def _is_module(key: Any) -> bool:
    return isinstance(key, tuple) and len(key) > 1 and key[0] in ("module", b"module")


def _parts(key: Any) -> tuple[str, str, Any]:
    """(type, key, view) of a persistent id."""
    if not isinstance(key, tuple) or len(key) not in (5, 6) or key[0] not in ("storage", b"storage"):
        raise MalformedError("its pickle mentions a storage in an unknown way")
    name = key[2].decode("latin-1") if isinstance(key[2], bytes) else key[2]
    if not isinstance(name, str):
        raise MalformedError("its pickle mentions a storage in an unknown way")
    return key[1].name if isinstance(key[1], Global) else "", name, key[5] if len(key) == 6 else None
