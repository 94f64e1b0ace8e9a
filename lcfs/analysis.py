"""What a state dict holds: non-zeros and distinct values, tensor by tensor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lcfs.errors import InputError

Role = Literal["weight", "vector", "buffer", "counter"]
_BUFFERS = ("running_mean", "running_var")


@dataclass(frozen=True)
class TensorSummary:
    """Counts of one tensor; `distinct` is the number of distinct non-zero values, None if not counted."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: Role
    count: int
    nonzeros: int
    distinct: int | None


@dataclass(frozen=True)
class StateSummary:
    """Counts over everything a decoder needs: all floating-point entries, biases and BatchNorm's statistics included.

    Tied tensors stored under two names count twice: the file says nothing of the tie.
    """

    weights: int
    nonzeros: int
    distinct_values: int | None
    value_bits: int
    tensors: tuple[TensorSummary, ...]


def nonzeros(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Non-zero entries of each weight array (floating point, two dimensions or more)."""
    return {name: int(t.count_nonzero()) for name, t in state.items() if _role(name, t) == "weight"}


def distinct_values(tensor: Tensor) -> int:
    """Exact number of distinct non-zero values; −0 counts as zero. Raises ValueError on NaN."""
    if tensor.isnan().any():
        raise ValueError("distinct values are not defined where there is a NaN")
    return len(_values(tensor))


def summarize_state(state: Mapping[str, Tensor], *, distinct: bool = True) -> StateSummary:
    """Counts of a whole state dict.

    Raises:
        InputError: a tensor with infinite or NaN entries, or no floating-point entry of 16, 32 or 64 bits.
    """
    tensors = tuple(_summarize(name, tensor, distinct) for name, tensor in state.items())
    floating = [(row, state[row.name]) for row in tensors if row.role != "counter"]
    values = np.concatenate([_values(tensor) for _, tensor in floating] or [np.empty(0)]) if distinct else None
    return StateSummary(
        weights=sum(row.count for row, _ in floating),
        nonzeros=sum(row.nonzeros for row, _ in floating),
        distinct_values=None if values is None else len(np.unique(values)),
        value_bits=max((tensor.element_size() * 8 for _, tensor in floating), default=0),
        tensors=tensors,
    )


def _summarize(name: str, tensor: Tensor, distinct: bool) -> TensorSummary:
    role = _role(name, tensor)
    bad = 0 if role == "counter" else tensor.numel() - int(tensor.isfinite().sum())
    if bad:
        raise InputError(
            f"tensor {name} has {bad:,} entries that are infinite or NaN; a diverged net has no description"
        )
    return TensorSummary(
        name,
        tuple(tensor.shape),
        str(tensor.dtype).removeprefix("torch."),
        role,
        tensor.numel(),
        int(tensor.count_nonzero()),
        len(_values(tensor)) if distinct and role != "counter" else None,
    )


def _values(tensor: Tensor) -> np.ndarray:
    """The distinct non-zero values, sorted; bfloat16 and float16 are exact in float32."""
    flat = tensor.detach().cpu().reshape(-1)
    array = (flat.float() if flat.dtype in (torch.bfloat16, torch.float16) else flat).numpy()
    values = np.unique(array)
    return values[values != 0]


def _role(name: str, tensor: Tensor) -> Role:
    if not tensor.is_floating_point():
        return "counter"
    if name.rsplit(".", 1)[-1] in _BUFFERS:
        return "buffer"
    return "weight" if tensor.ndim >= 2 else "vector"
