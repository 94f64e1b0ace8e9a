"""What a state dict holds: non-zeros and distinct values, tensor by tensor and type by type."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lcfs.analysis import histograms, patterns
from lcfs.analysis.histograms import Histogram
from lcfs.analysis.parts import Part, Role, parts
from lcfs.analysis.patterns import Format
from lcfs.errors import InputError
from theory.languages import lengths
from theory.languages.vectors import units

_MOST_ROWS = 1 << 24
_THREADS = min(os.cpu_count() or 1, 4)


@dataclass(frozen=True)
class Values:
    """Occurrences of the s non-zero numbers of one or several tensors of one type.

    Attributes:
        type: of the numbers, such as float32; a complex number is two.
        width: bits of one.
        count: how many numbers there are, n.
        nonzeros: how many are not zero, s.
        distinct: how many different ones are among those, k; None if not counted or given up (`Histogram`).
        arrangement_bits: log2(s!/Πc_j!), in which order the values stand; None if `distinct` is.
        high_arrangement_bits: the same for their upper 16 bits alone; None if not counted.
    """

    type: str
    width: int
    count: int
    nonzeros: int
    distinct: int | None
    arrangement_bits: float | None
    high_arrangement_bits: float | None


@dataclass(frozen=True)
class TensorSummary:
    """Counts of one tensor; `note` says why it is free or what was put together.

    support_bits: length of the adaptive code of its support, as one context or with one for each row.
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    values: Values
    support_bits: float
    note: str = ""

    @property
    def free(self) -> bool:
        """Whether a description need not spell it out."""
        return self.role in ("constant", "tied")


@dataclass(frozen=True)
class StateSummary:
    """Counts over everything a decoder needs, biases, integers and BatchNorm's statistics included, type by type."""

    types: tuple[Values, ...]
    tensors: tuple[TensorSummary, ...]

    @property
    def weights(self) -> int:
        """How many numbers there are."""
        return sum(values.count for values in self.types)

    @property
    def nonzeros(self) -> int:
        """How many of them are not zero."""
        return sum(values.nonzeros for values in self.types)

    @property
    def distinct_values(self) -> int | None:
        """How many different ones there are, of each type by itself; None if not counted or given up."""
        each = [values.distinct for values in self.types]
        return None if None in each else sum(k for k in each if k is not None)

    @property
    def dense_bits(self) -> int:
        """Bits that all of them take as they are."""
        return sum(values.count * values.width for values in self.types)


def nonzeros(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Non-zero entries of each weight array (floating point, two dimensions or more)."""
    return {name: int(t.count_nonzero()) for name, t in state.items() if t.is_floating_point() and t.ndim >= 2}


def summarize_state(
    state: Mapping[str, Tensor], *, distinct: bool = True, on_progress: Callable[[float], None] | None = None
) -> StateSummary:
    """Counts of a whole state dict in one pass.

    Args:
        state: dense and sparse tensors of any type; sparse ones are not made dense.
        distinct: whether to count different values.
        on_progress: gets the finished fraction in [0, 1], tensor by tensor and within large ones.

    Raises:
        InputError: a tensor with entries that are not a number (NaN).
    """
    found = parts(state)
    whole = sum(max(_stored(part), 1) for part in found)
    done = 0
    totals: dict[Format, Histogram] = {}
    rows: list[TensorSummary] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for part in found:
            histogram = Histogram(part.form, pool)
            report = _Progress(on_progress, done, whole)
            rows.append(_summarize(part, histogram, distinct and not part.free, pool, report))
            if not part.free:
                totals.setdefault(part.form, Histogram(part.form, pool)).absorb(histogram)
            done += max(_stored(part), 1)
            report(max(_stored(part), 1))
        types = [_total(form, rows, histogram, distinct) for form, histogram in totals.items()]
    return StateSummary(tuple(types), tuple(rows))


@dataclass(frozen=True)
class _Progress:
    """Tells the fraction that is done, from the entries of one part that are."""

    on_progress: Callable[[float], None] | None
    before: int
    whole: int

    def __call__(self, entries: int) -> None:
        if self.on_progress:
            self.on_progress(min((self.before + entries) / self.whole, 1.0))


def _total(form: Format, rows: list[TensorSummary], histogram: Histogram, counted: bool) -> Values:
    own = [row.values for row in rows if not row.free and row.values.type == form.name]
    return _values(form, sum(v.count for v in own), sum(v.nonzeros for v in own), histogram, counted)


def _values(form: Format, count: int, nonzeros: int, histogram: Histogram, counted: bool) -> Values:
    if not counted:
        return Values(form.name, form.width, count, nonzeros, None, None, None)
    distinct, arrangement = histogram.distinct, histogram.arrangement_bits
    return Values(form.name, form.width, count, nonzeros, distinct, arrangement, histogram.high_arrangement_bits)


def _summarize(
    part: Part, histogram: Histogram, counted: bool, pool: ThreadPoolExecutor, report: Callable[[int], None]
) -> TensorSummary:
    """Counts of one part; `report` gets the number of stored entries that are done."""
    form, tensor, shape = part.form, part.tensor, tuple(part.tensor.shape)
    per_element = patterns.per_element(tensor.dtype, form)
    sparse = tensor.layout != torch.strided
    count = tensor.numel() * per_element if sparse or part.mask is not None else patterns.count(tensor, form)
    rows = units(shape) if count else 1
    rows = rows if rows <= _MOST_ROWS and count % rows == 0 else 1
    entries, index = _sparse_entries(tensor, rows) if sparse else (tensor, None)
    source = patterns.pieces(entries, form, part.mask)
    row_counts = np.zeros(rows, np.int64)
    invalid = done = 0
    for piece in _mapped(pool, source, form, histogram if counted else None):
        invalid += piece.invalid
        if index is None:
            _add_row_counts(row_counts, piece.nonzero, done, max(count // rows, 1))
        else:
            width = per_element * (entries.numel() // max(len(index), 1))  # numbers of each index
            at = index[(done + np.flatnonzero(piece.nonzero)) // width]
            row_counts += np.bincount(at, minlength=rows)
        if piece.high is not None:
            histogram.add(piece.high, piece.run)
        done += len(piece.nonzero)
        report(done // per_element)
    if invalid:
        raise InputError(
            f"tensor {part.name!r} has {invalid:,} entries that are not a number (NaN), and a net that computes with "
            f"them has no error to speak of; if the net does not use it, pass --exclude '{part.name}'"
        )
    nonzeros = int(row_counts.sum())
    by_row = lengths.kt_support(np.full(rows, count // rows), row_counts)
    support = 1 + min(by_row, lengths.kt_support(np.array([count]), np.array([nonzeros])))
    return TensorSummary(
        part.name, shape, part.role, _values(form, count, nonzeros, histogram, counted), support, part.note
    )


@dataclass(frozen=True)
class _Piece:
    """Counts of some patterns: how many are NaN, which are not zero, and their occurrences."""

    invalid: int
    nonzero: np.ndarray
    high: np.ndarray | None
    run: tuple[np.ndarray, np.ndarray] | None


def _mapped(
    pool: ThreadPoolExecutor, source: Iterator[np.ndarray], form: Format, histogram: Histogram | None
) -> Iterator[_Piece]:
    """Counts of each piece in order; a few are under way at a time."""
    waiting: deque[Future[_Piece]] = deque()
    for piece in source:
        each = histogram is not None and histogram.counts_each
        waiting.append(pool.submit(_count_piece, piece, form, histogram is not None, each))
        if len(waiting) > 2 * _THREADS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _count_piece(piece: np.ndarray, form: Format, counted: bool, each: bool) -> _Piece:
    nonzero = piece != 0
    high = run = None
    if counted:
        values = piece[nonzero]
        high = histograms.high_counts(values, form)
        run = histograms.run_of(values) if each else None
    return _Piece(patterns.invalid(piece, form), nonzero, high, run)


def _sparse_entries(tensor: Tensor, rows: int) -> tuple[Tensor, np.ndarray]:
    """The stored numbers of a sparse tensor, those at one place added up, and the row of each."""
    coordinates = tensor.detach().cpu().to_sparse_coo().coalesce()
    places = coordinates.indices()
    by_row = rows == tensor.shape[0] if tensor.ndim else False
    index = places[0] if by_row and len(places) else torch.zeros(places.shape[1], dtype=torch.int64)
    return coordinates.values(), index.numpy()


def _stored(part: Part) -> int:
    tensor = part.tensor
    return tensor.numel() if tensor.layout == torch.strided else tensor._nnz()


def _add_row_counts(counts: np.ndarray, nonzero: np.ndarray, start: int, width: int) -> None:
    """Count those of the entries start, start + 1, … that are not zero in rows of `width` entries."""
    first = start // width
    head = min((first + 1) * width - start, len(nonzero))
    counts[first] += np.count_nonzero(nonzero[:head])
    whole = (len(nonzero) - head) // width
    if whole:
        body = nonzero[head : head + whole * width].reshape(whole, width)
        counts[first + 1 : first + 1 + whole] += np.count_nonzero(body, axis=1)
    tail = nonzero[head + whole * width :]
    if len(tail):
        counts[first + 1 + whole] += np.count_nonzero(tail)
