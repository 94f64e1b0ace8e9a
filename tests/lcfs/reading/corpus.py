"""Files of every kind that people have, each with what reading it must give, and of the kinds that attackers make."""

import argparse
import io
import json
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


@dataclass(frozen=True)
class Readable:
    """A file that is read: what writes it, the tensors that come out, and what blocks a bound from them."""

    name: str
    write: Callable[[Path], Any]
    tensors: dict[str, Tensor]
    blocking: tuple[str, ...] = ()
    stubs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A file that is refused, and words of the sentence."""

    name: str
    write: Callable[[Path], Any]
    words: str


def save(value: Any, **options: Any) -> Callable[[Path], None]:
    """torch.save of a value."""

    def write(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(value, path, **options)

    return write


def numpy_file(write_array: Callable[..., None], *arrays: Any, **named: Any) -> Callable[[Path], None]:
    """Arrays in one of numpy's formats."""

    def write(path: Path) -> None:
        with path.open("wb") as handle:
            write_array(handle, *arrays, **named)

    return write


def torch_bytes(value: Any, **options: Any) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def rezipped(value: Any, method: int) -> Callable[[Path], None]:
    """torch.save, unpacked and zipped again by another program."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(io.BytesIO(torch_bytes(value))) as old, zipfile.ZipFile(path, "w", method) as new:
            for member in old.infolist():
                new.writestr(member.filename, old.read(member))

    return write


def zipped(*names: str) -> Callable[[Path], None]:
    """A zip archive with members of these names."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "x")

    return write


def torch_pickle(pickled: bytes, storages: dict[str, bytes] | None = None) -> Callable[[Path], None]:
    """A torch zip with a pickle of one's own."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
            archive.writestr("archive/version", "3\n")
            for key, content in (storages or {}).items():
                archive.writestr(f"archive/data/{key}", content)

    return write


def content(data: bytes) -> Callable[[Path], None]:
    """These bytes."""

    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


def safe(header: Any, data: bytes = b"") -> Callable[[Path], None]:
    """A safetensors file with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return content(len(text).to_bytes(8, "little") + text + data)


def tar_of_2016(path: Path) -> None:
    """One float tensor `w` of shape (2, 2), as torch 0.1 saved it."""
    storages = io.BytesIO()
    pickle.dump(1, storages, 2)
    storages.write(b"\x80\x02(K\x07X\x03\x00\x00\x00cpuctorch\nFloatStorage\ntq\x00.")
    storages.write(struct.pack("<q4f", 4, 1, 2, 3, 4))
    pickle.dump([], storages, 2)
    tensors = io.BytesIO()
    pickle.dump(1, tensors, 2)
    tensors.write(b"\x80\x02(K\x05K\x07ctorch\nFloatTensor\ntq\x00.")
    tensors.write(struct.pack("<i4x2q2qq", 2, 2, 2, 2, 1, 0))
    with tarfile.open(path, "w") as archive:
        for name, data in (("storages", storages.getvalue()), ("tensors", tensors.getvalue())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        data = b"\x80\x02}X\x01\x00\x00\x00wK\x05Qs."
        member = tarfile.TarInfo("pickle")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


def scripted(path: Path) -> None:
    """A TorchScript archive of a linear layer."""
    net = nn.Linear(3, 2)
    net.load_state_dict({"weight": STATE["a.weight"], "bias": STATE["a.bias"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(net), str(path))


class _Settings(nn.Module):
    """A module of a class that nobody else has."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 2)
        self.a.load_state_dict({"weight": STATE["a.weight"], "bias": STATE["a.bias"]})


LAYER = {"weight": STATE["a.weight"], "bias": STATE["a.bias"]}
_EIGHTH = torch.tensor([1, -2, 3], dtype=torch.int8)


def _quantized(per_channel: bool) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if per_channel:
                scales, zeros = torch.tensor([0.5, 0.25, 1.0]), torch.zeros(3, dtype=torch.int64)
                value = torch._make_per_channel_quantized_tensor(_EIGHTH.reshape(3, 1), scales.double(), zeros, 0)
            else:
                value = torch._make_per_tensor_quantized_tensor(_EIGHTH, 0.5, 0)
            torch.save({"w": value}, path)

    return write


def _csr() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.eye(3).to_sparse_csr()


def _torchao(path: Path, kind: str = "torchao.dtypes.AffineQuantizedTensor") -> None:
    """A tensor of a subclass that holds two others, as torchao's do."""

    def tensor(index: int, storage: str, count: int) -> _Reduced:
        stored = _Reduced("storage", "storage", _named(f"torch.{storage}Storage"), str(index), "cpu", count)
        return _Reduced("torch._utils._rebuild_tensor_v2", stored, 0, (count,), (1,), False, {})

    rebuild = _named("torch._utils._rebuild_wrapper_subclass")
    parts = (tensor(0, "Char", 3), tensor(1, "Float", 1))
    value = {"w": _Reduced("torch._tensor._rebuild_from_type_v2", rebuild, _named(kind), parts, None)}
    torch_pickle(pickled(value), {"0": b"\x01\xfe\x03", "1": struct.pack("<f", 1.0)})(path)


PLAIN = [
    Readable("zip", save(STATE), STATE),
    Readable("legacy", save(STATE, _use_new_zipfile_serialization=False), STATE),
    Readable("protocol 4", save(STATE, pickle_protocol=4), STATE),
    Readable("legacy protocol 4", save(STATE, pickle_protocol=4, _use_new_zipfile_serialization=False), STATE),
    Readable("zipped again, deflated", rezipped(STATE, zipfile.ZIP_DEFLATED), STATE),
    Readable("zipped again, stored", rezipped(STATE, zipfile.ZIP_STORED), STATE),
    Readable("tar of 2016", tar_of_2016, {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}),
    Readable("TorchScript", scripted, LAYER, stubs=("__torch__.torch.nn.modules.linear.Linear",)),
    Readable("safetensors", lambda path: save_file(STATE, path), STATE),
    Readable(
        "pickle of arrays", lambda path: path.write_bytes(pickle.dumps({"w": np.eye(2)})), {"w": torch.eye(2).double()}
    ),
    Readable("npz", numpy_file(np.savez, w=np.eye(2, dtype=np.float32)), {"w": torch.eye(2)}),
    Readable("npz, packed", numpy_file(np.savez_compressed, w=np.eye(2)), {"w": torch.eye(2).double()}),
    Readable(
        "npy",
        numpy_file(np.save, np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        {"array": torch.arange(6.0).reshape(2, 3).double()},
    ),
    Readable(
        "big-endian npy",
        numpy_file(np.save, np.arange(3, dtype=">i4")),
        {"array": torch.arange(3, dtype=torch.int32)},
    ),
]

OBJECTS = [
    Readable("whole module", save(_Settings()), STATE, stubs=("corpus._Settings", "torch.nn.modules.linear.Linear")),
    Readable(
        "Lightning",
        save(
            {
                "state_dict": STATE,
                "hyper_parameters": argparse.Namespace(lr=0.1),
                "epoch": 3,
                "callbacks": {"best": torch.ones(())},
                "loops": {},
                "optimizer_states": [{"m": torch.ones(3)}],
            }
        ),
        STATE,
        stubs=("argparse.Namespace",),
    ),
    Readable(
        "timm",
        save({"state_dict": STATE, "args": argparse.Namespace(model="x"), "metric": np.float64(71.0)}),
        STATE,
        stubs=("argparse.Namespace",),
    ),
    Readable(
        "a set, a path, a class",
        save({"state_dict": STATE, "seen": {1}, "config": Path("x"), "args": Path}),
        STATE,
        stubs=("pathlib.PosixPath",),
    ),
    Readable("parameters", save({"w": nn.Parameter(torch.ones(2))}), {"w": torch.ones(2)}),
    Readable("OrderedDict", save(OrderedDict(STATE)), STATE),
]

HALVES = [
    Readable(
        "a branch beside a tensor",
        save({"backbone": STATE, "head.weight": torch.ones(2)}),
        {**{f"backbone.{k}": t for k, t in STATE.items()}, "head.weight": torch.ones(2)},
    ),
    Readable("a tensor beside the net", save({"state_dict": STATE, "head": torch.ones(2)}), STATE, blocking=("head",)),
    Readable(
        "another net beside it",
        save({"model": STATE, "discriminator": {"w": torch.ones(2)}}),
        STATE,
        blocking=("discriminator",),
    ),
    Readable("two towers of one shape", save({"model": STATE, "right": STATE}), STATE, blocking=("right",)),
    Readable(
        "a GAN",
        save({"generator": {"w": torch.ones(2)}, "discriminator": {"w": torch.zeros(2)}}),
        {"generator.w": torch.ones(2), "discriminator.w": torch.zeros(2)},
    ),
    Readable(
        "moving average",
        save({"model": STATE, "model_ema": STATE, "optimizer": {"state": {0: {"m": torch.ones(9)}}}}),
        STATE,
    ),
    Readable(
        "ZeRO-3",
        save({"w": torch.empty(0), "b": torch.ones(2)}),
        {"w": torch.empty(0), "b": torch.ones(2)},
        blocking=("w",),
    ),
    Readable(
        "meta", save({"w": torch.empty(3, device="meta"), "b": torch.ones(2)}), {"b": torch.ones(2)}, blocking=("w",)
    ),
    Readable(
        "two paths of one name",
        save({1: torch.ones(2), "1": torch.zeros(2), "a.b": torch.ones(3), "a": {"b": torch.zeros(3)}}),
        {"1": torch.ones(2), "1′": torch.zeros(2), "a.b": torch.ones(3), "a.b′": torch.zeros(3)},
    ),
    Readable(
        "a tensor of torchao",
        lambda path: _torchao(path),
        {"w.0": _EIGHTH, "w.1": torch.tensor([1.0])},
        stubs=("torchao.dtypes.AffineQuantizedTensor",),
    ),
    Readable(
        "an unknown tensor",
        lambda path: _torchao(path, "elsewhere.Quantized"),
        {"w.0": _EIGHTH, "w.1": torch.tensor([1.0])},
        blocking=("w",),
        stubs=("elsewhere.Quantized",),
    ),
    Readable(
        "an object in the net",
        save({"w": torch.ones(2), "extra": io.BytesIO(b"numbers")}),
        {"w": torch.ones(2)},
        blocking=("extra", "extra.0"),
        stubs=("_io.BytesIO",),
    ),
    Readable(
        "packed parameters",
        save({"p._packed_params": (torch.ones(2, dtype=torch.int8), None), "p.dtype": torch.qint8}),
        {"p._packed_params.0": torch.ones(2, dtype=torch.int8)},
    ),
]

DTYPES = [
    *(
        Readable(
            str(dtype),
            save({"w": torch.tensor([1.0, -2.0, 0.0]).to(dtype)}),
            {"w": torch.tensor([1.0, -2.0, 0.0]).to(dtype)},
        )
        for dtype in (
            torch.float64,
            torch.float16,
            torch.bfloat16,
            torch.complex64,
            torch.int16,
            torch.uint16,
            torch.bool,
            torch.float8_e4m3fn,
            torch.float8_e5m2,
            torch.float8_e4m3fnuz,
            torch.float8_e5m2fnuz,
        )
    ),
    Readable("conjugate", save({"w": torch.tensor([1 + 2j]).conj()}), {"w": torch.tensor([1 - 2j])}),
    Readable("negated", save({"w": torch.tensor([1 + 2j]).conj().imag}), {"w": torch.tensor([-2.0])}),
    Readable("qint8", _quantized(False), {"w.int_repr": _EIGHTH}),
    Readable(
        "qint8 by channel",
        _quantized(True),
        {
            "w.int_repr": _EIGHTH.reshape(3, 1),
            "w.scale": torch.tensor([0.5, 0.25, 1.0]).double(),
            "w.zero_point": torch.zeros(3).long(),
        },
    ),
    Readable("COO", save({"w": torch.eye(3).to_sparse()}), {"w": torch.eye(3).to_sparse()}),
    Readable("CSR", save({"w": _csr()}), {"w": _csr()}),
    Readable(
        "F4",
        safe({"w": {"dtype": "F4", "shape": [2, 2], "data_offsets": [0, 2]}}, b"\x21\x43"),
        {"w": torch.tensor([[0x21], [0x43]], dtype=torch.uint8).view(torch.float4_e2m1fn_x2)},
    ),
    Readable(
        "E8M0",
        safe({"w": {"dtype": "F8_E8M0", "shape": [2], "data_offsets": [0, 2]}}, b"\x7f\x80"),
        {"w": torch.tensor([1.0, 2.0]).to(torch.float8_e8m0fnu)},
    ),
    Readable(
        "a type of six bits",
        safe(
            {
                "w": {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]},
                "b": {"dtype": "U8", "shape": [1], "data_offsets": [3, 4]},
            },
            b"\x01\x02\x03\x04",
        ),
        {"b": torch.tensor([4], dtype=torch.uint8)},
        blocking=("w",),
    ),
]

READABLE = PLAIN + OBJECTS + HALVES + DTYPES


def _nested(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"w": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])}, path)


def _flipped(path: Path) -> None:
    data = bytearray(torch_bytes({"w": torch.ones(1000)}))
    data[data.index(struct.pack("<f", 1.0) * 8) + 100] ^= 1
    path.write_bytes(bytes(data))


def _directory(change: Callable[[bytearray, int], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        data = bytearray(torch_bytes(STATE))
        change(data, data.index(b"PK\x01\x02"))
        path.write_bytes(bytes(data))

    return write


def _set(offset: int, value: bytes) -> Callable[[bytearray, int], None]:
    def change(data: bytearray, at: int) -> None:
        data[at + offset : at + offset + len(value)] = value

    return change


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        with archive.open("archive/data/0", "w") as member:
            for _ in range(200):
                member.write(bytes(1 << 20))


class _Reduced:
    """What pickles as a call of a name; `storage` is what torch would keep beside the pickle."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments

    def __reduce__(self) -> Any:
        return _named(self.name), self.arguments


def _named(name: str) -> type:
    """A class that pickles as this name, whatever it is."""
    module, _, attribute = name.rpartition(".")
    marker = type(attribute, (), {"__module__": module})
    marker.__qualname__ = attribute
    return marker


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    def persistent_id(self, found: Any) -> Any:
        return found.arguments if isinstance(found, _Reduced) and found.name == "storage" else None

    def save_global(self, found: Any, name: Any = None) -> None:
        self.write(b"c" + found.__module__.encode() + b"\n" + found.__qualname__.encode() + b"\n")


def pickled(value: Any) -> bytes:
    """A pickle in which `_Reduced` are calls of their names."""
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def sparse_pickle(
    layout: str, parts: list[tuple[str, list[int], bytes]], size: tuple[int, ...]
) -> Callable[[Path], None]:
    """A sparse tensor `w` from parts of (type, shape, bytes), checked by nobody."""

    def tensor(index: int) -> _Reduced:
        kind, shape, data = parts[index]
        count = len(data) // {"Long": 8, "Float": 4}[kind]
        storage = _Reduced("storage", "storage", _named(f"torch.{kind}Storage"), str(index), "cpu", count)
        steps = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        return _Reduced("torch._utils._rebuild_tensor_v2", storage, 0, tuple(shape), steps, False, {})

    data = (*(tensor(index) for index in range(len(parts))), _Reduced("torch.Size", tuple(size)))
    layout_of = _Reduced("torch.serialization._get_layout", layout)
    value = {"w": _Reduced("torch._utils._rebuild_sparse_tensor", layout_of, data)}
    return torch_pickle(pickled(value), {str(index): data for index, (_, _, data) in enumerate(parts)})


def _longs(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


_ONE = struct.pack("<f", 1.0)
SPARSE = {
    "COO, index too large": ("torch.sparse_coo", [("Long", [2, 1], _longs(10**6, 0)), ("Float", [1], _ONE)], (3, 3)),
    "COO, negative index": ("torch.sparse_coo", [("Long", [2, 1], _longs(-5, 0)), ("Float", [1], _ONE)], (3, 3)),
    "COO, too many axes": ("torch.sparse_coo", [("Long", [3, 1], _longs(0, 0, 0)), ("Float", [1], _ONE)], (3, 3)),
    "COO, absurd shape": ("torch.sparse_coo", [("Long", [2, 1], _longs(0, 0)), ("Float", [1], _ONE)], (2**40, 2**40)),
    "CSR, pointers that fall": (
        "torch.sparse_csr",
        [("Long", [4], _longs(0, 9, 0, 1)), ("Long", [1], _longs(0)), ("Float", [1], _ONE)],
        (3, 3),
    ),
    "CSR, column too large": (
        "torch.sparse_csr",
        [("Long", [4], _longs(0, 1, 1, 1)), ("Long", [1], _longs(77)), ("Float", [1], _ONE)],
        (3, 3),
    ),
}

DAMAGED = [
    Refused("empty", content(b""), "is empty"),
    Refused("web page", content(b"\n<!DOCTYPE html><html>404</html>"), "HTML page"),
    Refused(
        "git-LFS pointer", content(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), "git-LFS pointer"
    ),
    Refused("half a zip", content(torch_bytes(STATE)[:-100]), "damaged"),
    Refused("no zip", content(b"PK\x03\x04 not really"), "damaged"),
    Refused("text", content(b"hello"), "damaged"),
    Refused("HDF5", content(b"\x89HDF\r\n\x1a\n" + bytes(99)), "HDF5"),
    Refused("gzip", content(b"\x1f\x8b" + bytes(99)), "gzip"),
    Refused(
        "a zip of photographs",
        zipped("a.jpg"),
        "zip archive of something else",
    ),
    Refused("torch.export", zipped("net/archive_format", "net/models/model.json"), "exported program"),
    Refused("TorchScript of 2018", zipped("net/model.json", "net/tensors/0"), "exported program"),
    Refused("flipped bit", _flipped, "checksum"),
    Refused("encrypted flag", _directory(_set(8, b"\x01\x00")), "encrypted"),
    Refused("unknown method", _directory(_set(10, b"\x0c\x00")), "damaged"),
    Refused("name of no alphabet", _directory(_set(46, b"\xff\xfe\xff")), "damaged"),
    Refused("sizes that lie", _directory(_set(20, b"\x01\x00\x00\x00")), "damaged"),
    Refused("offset that lies", _directory(_set(42, b"\x07\x00\x00\x00")), "damaged"),
    Refused("zip bomb", _bomb, "unpacks to"),
    Refused("expanded", save({"w": torch.ones(1).expand(10**15)}), "repeats"),
    Refused(
        "storage too small",
        torch_pickle(
            b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
            b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x64\x85K\x01\x85\x89}tRs.",
            {"0": bytes(8)},
        ),
        "needs more numbers",
    ),
    Refused("header of 10^15", content((10**15).to_bytes(8, "little") + b"{" + bytes(99)), "damaged"),
    Refused(
        "shape of 10^15",
        safe({"w": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4]}}, bytes(4)),
        "has 4 bytes",
    ),
    Refused("gap in safetensors", safe({"w": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, bytes(2)), "gaps"),
    Refused(
        "overlap in safetensors",
        safe(
            {
                "v": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                "w": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]},
            },
            bytes(2),
        ),
        "overlap",
    ),
    Refused("no tensors", save({"epoch": 3}), "no tensors"),
    Refused("nested tensors only", _nested, "nested"),
    Refused("lists in each other", torch_pickle(b"\x80\x02]q\x00h\x00a."), "hold each other"),
    Refused(
        "billion laughs",
        torch_pickle(b"\x80\x02]" + b"".join(b"q%c](h%ch%ce" % (i, i, i) for i in range(60)) + b"."),
        "far more",
    ),
    *(Refused(name, sparse_pickle(*arguments), "sparse") for name, arguments in SPARSE.items()),
]
