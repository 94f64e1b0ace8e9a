"""What a state dict holds: non-zeros and distinct values, tensor by tensor."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lcfs.errors import InputError

Role = Literal["weight", "vector", "buffer", "counter"]
_BUFFERS = ("running_mean", "running_var")
_PIECE = 1 << 18
_INTERVAL = 1 << 25
_SAMPLE = 100_000


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
    return count_distinct([tensor])[1]


def count_distinct(
    tensors: Sequence[Tensor], on_progress: Callable[[float], None] | None = None
) -> tuple[list[int], int]:
    """(distinct non-zero values of each tensor, distinct non-zero values of all together), without NaNs among them.

    Works through one interval of values after the other, each of about 2²⁵ entries, so that the memory needed beside
    the tensors stays below half a gigabyte; `on_progress` gets the finished fraction in [0, 1] after each.
    """
    edges = _edges(tensors)
    counts, total = [0] * len(tensors), 0
    for done, (low, high) in enumerate(pairwise(edges), start=1):
        found = [np.unique(_between(tensor, low, high)) for tensor in tensors]
        counts = [count + len(values) for count, values in zip(counts, found, strict=True)]
        total += len(np.unique(np.concatenate(found))) if found else 0
        if on_progress:
            on_progress(done / (len(edges) - 1))
    return counts, total


def summarize_state(
    state: Mapping[str, Tensor], *, distinct: bool = True, on_progress: Callable[[float], None] | None = None
) -> StateSummary:
    """Counts of a whole state dict; `on_progress` as in `count_distinct`, the only part that takes long.

    Raises:
        InputError: a tensor with infinite or NaN entries.
    """
    rows = [_summarize(name, tensor) for name, tensor in state.items()]
    floating = [i for i, row in enumerate(rows) if row.role != "counter"]
    total = None
    if distinct:
        counts, total = count_distinct([state[rows[i].name] for i in floating], on_progress)
        for i, count in zip(floating, counts, strict=True):
            rows[i] = replace(rows[i], distinct=count)
    return StateSummary(
        weights=sum(rows[i].count for i in floating),
        nonzeros=sum(rows[i].nonzeros for i in floating),
        distinct_values=total,
        value_bits=max((state[rows[i].name].element_size() * 8 for i in floating), default=0),
        tensors=tuple(rows),
    )


def _summarize(name: str, tensor: Tensor) -> TensorSummary:
    role = _role(name, tensor)
    nonzeros = bad = 0
    for piece in _pieces(tensor):
        nonzeros += int(np.count_nonzero(piece))
        bad += 0 if role == "counter" else piece.size - int(np.count_nonzero(np.isfinite(piece)))
    if bad:
        raise InputError(
            f"tensor {name} has {bad:,} entries that are infinite or NaN; a diverged net has no description"
        )
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorSummary(name, tuple(tensor.shape), dtype, role, tensor.numel(), nonzeros, None)


def _pieces(tensor: Tensor) -> Iterator[np.ndarray]:
    """The entries in parts that fit a cache; bfloat16 and float16 are exact in float32."""
    for part in tensor.detach().cpu().reshape(-1).split(_PIECE):
        yield (part.float() if part.dtype in (torch.bfloat16, torch.float16) else part).numpy()


def _edges(tensors: Sequence[Tensor]) -> list[float]:
    """Borders of intervals that hold about `_INTERVAL` entries each, from quantiles of a regular sample."""
    entries = sum(tensor.numel() for tensor in tensors)
    intervals = -(-entries // _INTERVAL)
    step = max(entries // _SAMPLE, 1)
    sample = [tensor.detach().reshape(-1)[::step].double().cpu().numpy() for tensor in tensors]
    values = np.concatenate(sample or [np.empty(0)])
    values = values[values != 0]
    inner = np.unique(np.quantile(values, np.arange(1, intervals) / intervals)) if intervals > 1 and len(values) else ()
    return [-math.inf, *map(float, inner), math.inf]


def _between(tensor: Tensor, low: float, high: float) -> np.ndarray:
    """The non-zero entries in [low, high)."""
    found = [piece[(piece >= low) & (piece < high) & (piece != 0)] for piece in _pieces(tensor)]
    return np.concatenate(found) if found else np.empty(0, np.float32)


def _role(name: str, tensor: Tensor) -> Role:
    if not tensor.is_floating_point():
        return "counter"
    if name.rsplit(".", 1)[-1] in _BUFFERS:
        return "buffer"
    return "weight" if tensor.ndim >= 2 else "vector"
