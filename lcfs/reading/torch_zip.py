"""Torch's zip format: a pickle and beside it the storages that it mentions. TorchScript archives are of the same form,
and only their values are read, never their code."""

import io
from typing import Any

from lcfs.reading.storages import INTEGERS_OF, STORAGES, Storage, is_size
from lcfs.reading.unpickling import Machine
from lcfs.reading.values import Global, MalformedError, Stub, Unread
from lcfs.reading.zips import Archive


def read_torch_zip(archive: Archive, pickle: str, met: dict[str, None]) -> Any:
    """The value of one pickle of the archive.

    Args:
        archive: the archive.
        pickle: its member, such as archive/data.pkl; storages lie in archive/data/.
        met: gets the names of the classes that became stubs.
    """
    folder, _, stem = pickle.removesuffix(".pkl").rpartition("/")
    prefix = f"{folder}/" if folder else ""
    order = f"{prefix}byteorder"
    if order in archive and archive.text(order, 16) != b"little":
        raise MalformedError("its numbers are big-endian, which is not read: save it again on a little-endian machine")
    storages: dict[tuple[str, Any], Storage] = {}

    def persistent(key: Any) -> Any:
        return _storage(archive, f"{prefix}{stem}/", key, storages)

    machine = Machine(io.BytesIO(archive.text(pickle)), persistent)
    try:
        return machine.load()
    finally:
        met.update(machine.met)


def _storage(archive: Archive, prefix: str, key: Any, storages: dict[tuple[str, Any], Storage]) -> Any:
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[2], str):
        raise MalformedError("its pickle mentions a storage in an unknown way")
    _, kind, name, _, count = key[:5]
    kind = kind.name if isinstance(kind, Global) else ""
    if kind not in STORAGES:
        return Unread(f"a tensor of {kind[:40]}, which is not read")
    dtype = STORAGES[kind]
    if (name, dtype) not in storages:
        content = archive.member(f"{prefix}{name}")
        width = INTEGERS_OF.get(dtype, dtype).itemsize
        if not is_size(count) or count * width != len(content):
            raise MalformedError(f"its storage {name[:20]!r} has {len(content):,} bytes instead of {count} × {width}")
        storages[name, dtype] = Storage(content, dtype)
    return storages[name, dtype]


def read_torch_script(archive: Archive, pickle: str, met: dict[str, None]) -> Any:
    """Attributes of a scripted module, and the tensors among the constants of its code."""
    value = read_torch_zip(archive, pickle, met)
    constants = read_torch_zip(archive, f"{pickle.removesuffix('data.pkl')}constants.pkl", met)
    if isinstance(constants, tuple) and constants and isinstance(value, Stub) and isinstance(value.state, dict):
        value.state = {**value.state, "constants": list(constants)}
    return value
