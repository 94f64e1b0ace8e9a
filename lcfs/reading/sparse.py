"""Sparse tensors, every index checked before torch sees them as indices, and never made dense."""

import warnings
from typing import Any

import torch
from torch import Tensor

from lcfs.reading.storages import sizes
from lcfs.reading.values import Global, MalformedError

_COMPRESSED = {
    "sparse_csr": torch.sparse_csr,
    "sparse_csc": torch.sparse_csc,
    "sparse_bsr": torch.sparse_bsr,
    "sparse_bsc": torch.sparse_bsc,
}


def sparse_tensor(layout: Any, data: Any) -> Tensor:
    """A sparse tensor from the parts that torch stores.

    Args:
        layout: the name of a layout, such as torch.sparse_coo.
        data: (indices, values, size[, coalesced]) or (compressed indices, plain indices, values, size).

    Raises:
        MalformedError: an index out of range, pointers that do not rise, sizes that overflow.
    """
    name = (layout.name if isinstance(layout, Global) else str(layout)).removeprefix("torch.")
    if not isinstance(data, tuple) or not all(isinstance(part, Tensor) for part in data[: 2 + (name in _COMPRESSED)]):
        raise MalformedError("a sparse tensor has no indices and values")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "sparse CSR tensor support is in beta state"
            return _checked(name, data)
    except RuntimeError as error:
        raise MalformedError(f"a sparse tensor is malformed: {str(error).splitlines()[0][:120]}") from None


def _checked(name: str, data: tuple[Any, ...]) -> Tensor:
    if name == "sparse_coo" and len(data) in (3, 4):
        shape = _shape(data[2])
        _within(data[0], shape)
        return torch.sparse_coo_tensor(data[0], data[1], shape, check_invariants=True)
    if name in _COMPRESSED and len(data) == 4:
        shape, layout = _shape(data[3]), _COMPRESSED[name]
        return torch.sparse_compressed_tensor(*data[:3], size=shape, layout=layout, check_invariants=True)
    raise MalformedError(f"a sparse tensor of layout {name[:20]!r} is not read")


def _shape(size: Any) -> tuple[int, ...]:
    shape = sizes(size)
    total = 1
    for length in shape:
        total *= max(length, 1)
    if total >= 1 << 62:
        raise MalformedError(f"a sparse tensor has the shape {shape}")
    return shape


def _within(indices: Tensor, shape: tuple[int, ...]) -> None:
    if indices.ndim != 2 or indices.is_floating_point() or indices.is_complex() or len(indices) > len(shape):
        raise MalformedError("indices of a sparse tensor do not fit its shape")
    if indices.shape[1]:
        low, high = indices.amin(1).tolist(), indices.amax(1).tolist()
        if any(a < 0 or b >= n for a, b, n in zip(low, high, shape[: len(indices)], strict=True)):
            raise MalformedError(f"an index of a sparse tensor lies outside its shape {shape}")
