"""Bytes of a file as tensors, never more elements than the bytes explain."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lcfs.reading.values import Global, MalformedError

_FLOATS = ("float64", "float32", "float16", "bfloat16", "complex128", "complex64", "complex32")
_INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool")
_TINY = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2")
_QUANTIZED = ("qint8", "quint8", "qint32")
DTYPES: dict[str, torch.dtype] = {
    name: dtype
    for name in _FLOATS + _INTEGERS + _TINY + _QUANTIZED
    if isinstance(dtype := getattr(torch, name, None), torch.dtype)
}
DTYPES |= {"double": torch.float64, "float": torch.float32, "half": torch.float16}
STORAGES = {
    f"torch.{name}Storage": dtype
    for name, dtype in {
        "Double": torch.float64,
        "Float": torch.float32,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
        "ComplexDouble": torch.complex128,
        "ComplexFloat": torch.complex64,
        "QInt8": torch.qint8,
        "QUInt8": torch.quint8,
        "QInt32": torch.qint32,
    }.items()
}
STORAGES |= {name.replace("torch.", "torch.cuda."): dtype for name, dtype in STORAGES.items()}
STORAGES |= {"torch.storage.UntypedStorage": torch.uint8, "torch.UntypedStorage": torch.uint8}
INTEGERS_OF = {torch.qint8: torch.int8, torch.quint8: torch.uint8, torch.qint32: torch.int32}
_SMALL = 1 << 20  # so many elements may be repetitions of fewer that the file holds
_MOST_AXES = 64
_EMPTY = torch.empty(0, dtype=torch.uint8)


@dataclass(frozen=True, eq=False)
class Storage:
    """Bytes that tensors are views of, and the type that their pickle says they have."""

    content: Tensor
    dtype: torch.dtype

    def typed(self, dtype: torch.dtype) -> Tensor:
        """All of it as a flat tensor of a type."""
        content = self.content[: len(self.content) // dtype.itemsize * dtype.itemsize]
        if content.data_ptr() % dtype.itemsize:
            content = content.clone()
        return content.view(dtype)


def from_bytes(buffer: Any, offset: int = 0, size: int | None = None) -> Tensor:
    """Bytes of a writable buffer, such as a private map of a file, as a flat tensor that shares its memory."""
    room = len(buffer) - offset
    size = room if size is None else size
    if not (offset >= 0 and 0 <= size <= room):
        raise MalformedError(f"it promises {size:,} bytes where there is room for {max(room, 0):,}")
    return torch.frombuffer(buffer, dtype=torch.uint8, count=size, offset=offset) if size else _EMPTY


def strided(flat: Tensor, offset: Any, size: Any, stride: Any) -> Tensor:
    """A view of a flat tensor, every index checked.

    Raises: MalformedError if it reaches beyond the elements, or repeats few of them very often.
    """
    shape, steps = sizes(size), sizes(stride)
    if len(shape) != len(steps) or not is_size(offset):
        raise MalformedError("sizes and strides of a tensor do not fit each other")
    numbers = math.prod(shape)
    if numbers and offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) >= flat.numel():
        raise MalformedError(f"a tensor of shape {shape} needs more numbers than the {flat.numel():,} of its storage")
    if numbers > max(flat.numel(), _SMALL):
        raise MalformedError(f"a tensor of shape {shape} repeats the {flat.numel():,} numbers of its storage too often")
    if not numbers:
        if math.prod(n or 1 for n in shape) >= 1 << 60:
            raise MalformedError(f"a tensor has the shape {shape}")
        return torch.empty(shape, dtype=flat.dtype)
    return flat.as_strided(shape, steps, offset)


def sizes(size: Any) -> tuple[int, ...]:
    """Lengths of axes as a tuple of non-negative numbers; raises MalformedError for anything else."""
    if not isinstance(size, list | tuple) or len(size) > _MOST_AXES or not all(map(is_size, size)):
        raise MalformedError("the shape of a tensor is no list of sizes")
    return tuple(size)


def is_size(value: Any) -> bool:
    """Whether it is an int in [0, 2⁶³)."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def dtype_of(value: Any) -> torch.dtype:
    """The type that a `Global` such as `torch.float32` names; raises MalformedError for another one."""
    name = value.name.removeprefix("torch.") if isinstance(value, Global) else ""
    if name not in DTYPES:
        raise MalformedError(f"a tensor is of a type that is not read ({name or type(value).__name__})")
    return DTYPES[name]
