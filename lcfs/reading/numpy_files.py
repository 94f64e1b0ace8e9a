"""Numpy's .npy and .npz, without pickled objects. Source: numpy.lib.format, versions 1 to 3."""

import ast
import math
import struct
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lcfs.reading.arrays import PLAIN_DTYPE
from lcfs.reading.storages import from_bytes, sizes
from lcfs.reading.values import MalformedError, Unread
from lcfs.reading.zips import Archive

MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # numpy reads no longer one


def read_npz(archive: Archive) -> dict[str, Tensor | Unread]:
    """All arrays of an archive by name."""
    return {name.removesuffix(".npy"): read_npy(archive.member(name).numpy()) for name in archive.names}


def read_npy(content: Any) -> Tensor | Unread:
    """One array, as a view of `content` where its type and order allow. Raises MalformedError if it is none."""
    head = bytes(memoryview(content)[:12])
    if len(head) < 12 or head[:6] != MAGIC or head[6] not in (1, 2, 3):
        raise MalformedError("an array in it is not in numpy's format")
    begin, (length,) = (10, struct.unpack("<H", head[8:10])) if head[6] == 1 else (12, struct.unpack("<I", head[8:12]))
    if length > _LONGEST_HEADER or begin + length > len(content):
        raise MalformedError("an array in it has no header")
    try:
        header = ast.literal_eval(bytes(memoryview(content)[begin : begin + length]).decode("latin-1").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise MalformedError("an array in it has no header that numpy would write") from None
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise MalformedError("an array in it has no header that numpy would write")
    kind, shape = header["descr"], sizes(header["shape"])
    if not isinstance(kind, str) or not PLAIN_DTYPE.fullmatch(kind):
        return Unread(f"an array of numpy's type {str(kind)[:20]!r}, which is not read")
    dtype, start = np.dtype(kind), begin + length
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise MalformedError(f"an array of shape {shape} has {len(content) - start:,} bytes")
    array = from_bytes(content, start).numpy()
    if start % dtype.itemsize:
        array = array.copy()
    array = array.view(dtype).astype(dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(array.reshape(shape, order="F" if header["fortran_order"] is True else "C"))
