"""Arrays of numpy's in a pickle, from plain bytes: as tensors."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lcfs.reading.storages import dtype_of, sizes
from lcfs.reading.values import MalformedError, Unread

PLAIN_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16|\?|bool|u?int(8|16|32|64)|float(16|32|64))")


class Shell:
    """Something of numpy's that a pickle fills after making it: an array or the type of one."""

    def __init__(self, dtype: str = "") -> None:
        self.dtype, self.order = dtype, "<"
        self.value: Any = Unread("an array of numpy's that was never filled")

    def fill(self, state: Any) -> None:
        """What the pickle says of a type (version, order, …), of an array (version, shape, type, order, bytes)."""
        if not isinstance(state, tuple):
            raise MalformedError("an array of numpy's is described by no tuple")
        if self.dtype:
            if len(state) > 1 and state[1] in ("<", ">", "|", "="):
                self.order = state[1]
        elif len(state) == 5 and isinstance(state[2], Shell):
            self.value = state[2].array(state[4], sizes(state[1]), bool(state[3]))
        else:
            raise MalformedError("an array of numpy's is not described as numpy does it")

    def array(self, content: Any, shape: tuple[int, ...], fortran: bool = False) -> Any:
        """Plain bytes as a tensor of this type, or what the array was of."""
        if not PLAIN_DTYPE.fullmatch(self.dtype):
            return Unread(f"an array of numpy's type {self.dtype[:20]!r}, which is not read")
        if isinstance(content, str):  # Python 2's
            content = content.encode("latin-1")
        if not isinstance(content, bytes | bytearray):
            raise MalformedError("an array of numpy's has no bytes")
        dtype = np.dtype(self.dtype).newbyteorder(">" if self.order == ">" else "=")
        size = int(np.prod([1, *shape], dtype=object))
        if size * dtype.itemsize != len(content):
            raise MalformedError(f"an array of shape {shape} has {len(content):,} bytes")
        array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
        return torch.from_numpy(np.array(array, dtype=dtype.newbyteorder("=")))


def plain(value: Any) -> Any:
    """The tensor in a filled shell; anything else as it is."""
    return value.value if isinstance(value, Shell) else value


def _of_numpy(data: Any, dtype: Any, *_: Any) -> Any:
    found = plain(data)
    return found.to(dtype_of(dtype)) if isinstance(found, Tensor) else found


def _array(*_: Any) -> Shell:
    return Shell()


def _dtype(text: Any, *_: Any) -> Shell:
    return Shell(text if isinstance(text, str) and text else "?!")


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> Any:
    if not isinstance(dtype, Shell) or not isinstance(shape, list | tuple):
        raise MalformedError("an array of numpy's is not described as numpy does it")
    return dtype.array(content, sizes(shape), order == "F")


def _scalar(dtype: Any, content: Any = b"") -> Any:
    """A number of numpy's: Python's, of which the width is not kept."""
    found = dtype.array(content, ()) if isinstance(dtype, Shell) else Unread("a number of numpy's")
    return found.item() if isinstance(found, Tensor) else found


ARRAYS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_device_tensor_from_numpy": _of_numpy,
    "torch._utils._rebuild_xla_tensor": _of_numpy,
    **{f"{module}.multiarray._reconstruct": _array for module in ("numpy.core", "numpy._core")},
    **{f"{module}.multiarray.scalar": _scalar for module in ("numpy.core", "numpy._core")},
    **{f"{module}.numeric._frombuffer": _frombuffer for module in ("numpy.core", "numpy._core")},
    "numpy.dtype": _dtype,
}
