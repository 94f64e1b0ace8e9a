"""What a state dict holds: non-zeros and distinct values, tensor by tensor."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from scipy.special import gammaln
from torch import Tensor

from lcfs.errors import InputError
from theory.languages import lengths
from theory.languages.vectors import units

Role = Literal["weight", "vector", "buffer", "counter"]
_BUFFERS = ("running_mean", "running_var")
_PIECE = 1 << 18
_INTERVAL = 3 << 22
_SAMPLE = 100_000


@dataclass(frozen=True)
class TensorSummary:
    """Counts of one tensor.

    distinct: number of distinct non-zero values, None if not counted.
    support_bits: length of the adaptive code of its support, as one context or with one for each row.
    arrangement_bits: log2(s!/Πc_j!), in which order its s non-zero values stand; None if not counted.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: Role
    count: int
    nonzeros: int
    distinct: int | None
    support_bits: float
    arrangement_bits: float | None


@dataclass(frozen=True)
class StateSummary:
    """Counts over everything a decoder needs: all floating-point entries, biases and BatchNorm's statistics included.

    Tied tensors stored under two names count twice: the file says nothing of the tie.
    """

    weights: int
    nonzeros: int
    distinct_values: int | None
    value_bits: int
    arrangement_bits: float | None
    tensors: tuple[TensorSummary, ...]


def nonzeros(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Non-zero entries of each weight array (floating point, two dimensions or more)."""
    return {name: int(t.count_nonzero()) for name, t in state.items() if _role(name, t) == "weight"}


@dataclass(frozen=True)
class Values:
    """How many distinct non-zero values there are, and log2(s!/Πc_j!) bits for the order of all s of them."""

    distinct: int
    arrangement_bits: float


def distinct_values(tensor: Tensor) -> int:
    """Exact number of distinct non-zero values; −0 counts as zero. Raises ValueError on NaN."""
    if tensor.isnan().any():
        raise ValueError("distinct values are not defined where there is a NaN")
    return count_values([tensor])[1].distinct


def count_values(
    tensors: Sequence[Tensor], on_progress: Callable[[float], None] | None = None
) -> tuple[list[Values], Values]:
    """(the values of each tensor, those of all tensors together), without NaNs among them.

    Works through one interval of values after the other, each of about 12 million entries, so that the memory needed
    beside the tensors stays below half a gigabyte; `on_progress` gets the finished fraction in [0, 1] after each.
    """
    edges = _edges(tensors)
    each, all_together = [_Tally() for _ in tensors], _Tally()
    for done, (low, high) in enumerate(pairwise(edges), start=1):
        found = [np.unique(_between(tensor, low, high), return_counts=True) for tensor in tensors]
        for tally, (_, counts) in zip(each, found, strict=True):
            tally.add(counts)
        if found:
            values, counts = (np.concatenate(parts) for parts in zip(*found, strict=True))
            all_together.add(_merged(values, counts) if len(found) > 1 else counts)
        if on_progress:
            on_progress(done / (len(edges) - 1))
    return [tally.values() for tally in each], all_together.values()


def summarize_state(
    state: Mapping[str, Tensor], *, distinct: bool = True, on_progress: Callable[[float], None] | None = None
) -> StateSummary:
    """Counts of a whole state dict; `on_progress` as in `count_values`, the only part that takes long.

    Raises:
        InputError: a tensor with infinite or NaN entries.
    """
    rows = [_summarize(name, tensor) for name, tensor in state.items()]
    floating = [i for i, row in enumerate(rows) if row.role != "counter"]
    total = None
    if distinct:
        counts, total = count_values([state[rows[i].name] for i in floating], on_progress)
        for i, found in zip(floating, counts, strict=True):
            rows[i] = replace(rows[i], distinct=found.distinct, arrangement_bits=found.arrangement_bits)
    return StateSummary(
        weights=sum(rows[i].count for i in floating),
        nonzeros=sum(rows[i].nonzeros for i in floating),
        distinct_values=total.distinct if total else None,
        arrangement_bits=total.arrangement_bits if total else None,
        value_bits=max((state[rows[i].name].element_size() * 8 for i in floating), default=0),
        tensors=tuple(rows),
    )


def _summarize(name: str, tensor: Tensor) -> TensorSummary:
    role = _role(name, tensor)
    bad = 0
    rows = units(tuple(tensor.shape)) if tensor.numel() else 1
    row_counts = np.zeros(rows, np.int64)
    width = max(tensor.numel() // rows, 1)
    start = 0
    for piece in _pieces(tensor):
        bad += 0 if role == "counter" else piece.size - int(np.count_nonzero(np.isfinite(piece)))
        row_counts += _row_counts(piece != 0, start, width, rows)
        start += piece.size
    if bad:
        raise InputError(
            f"tensor {name} has {bad:,} entries that are infinite or NaN; a diverged net has no description"
        )
    nonzeros = int(row_counts.sum())
    support = 1 + min(
        lengths.kt_support(np.full(rows, tensor.numel() // rows), row_counts),
        lengths.kt_support(np.array([tensor.numel()]), np.array([nonzeros])),
    )
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorSummary(name, tuple(tensor.shape), dtype, role, tensor.numel(), nonzeros, None, support, None)


class _Tally:
    """Occurrences of values, interval by interval: how many, their sum, and Σ ln c_j!."""

    def __init__(self) -> None:
        self._distinct = self._size = 0
        self._nats = 0.0

    def add(self, counts: np.ndarray) -> None:
        self._distinct += len(counts)
        self._size += int(counts.sum())
        self._nats += float(gammaln(counts[counts > 1] + 1.0).sum())

    def values(self) -> Values:
        bits = (math.lgamma(self._size + 1) - self._nats) / math.log(2)
        return Values(self._distinct, max(bits, 0.0))


def _merged(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Occurrences of each distinct value, of which `values` may hold several with `counts` of their own."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    return np.add.reduceat(counts[order], starts) if len(starts) else counts


def _row_counts(nonzero: np.ndarray, start: int, width: int, rows: int) -> np.ndarray:
    """How many of the entries start, start + 1, … are not zero in each of `rows` rows of `width` entries."""
    counts = np.zeros(rows, np.int64)
    first = start // width
    head = min((first + 1) * width - start, len(nonzero))
    counts[first] += np.count_nonzero(nonzero[:head])
    whole = (len(nonzero) - head) // width
    if whole:
        body = nonzero[head : head + whole * width].reshape(whole, width)
        counts[first + 1 : first + 1 + whole] = np.count_nonzero(body, axis=1)
    tail = nonzero[head + whole * width :]
    if len(tail):
        counts[first + 1 + whole] += np.count_nonzero(tail)
    return counts


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
