"""How often each value occurs, in one pass over any number of them and bounded memory."""

import numpy as np

from lcfs.analysis.patterns import Format
from theory.languages import lengths

MOST_DISTINCT = 1 << 24
_LOW = (1 << 32) - 1


class Histogram:
    """Occurrences of bit patterns that are not zero.

    Of formats of up to 16 bits, all patterns have a counter. Of wider ones, each pattern is counted as long as there
    are no more than 2²⁴ of them, in sorted runs that are merged when they have doubled, and beside it the 2¹⁶ patterns
    of the upper 16 bits, whatever happens.
    """

    def __init__(self, form: Format) -> None:
        self._form = form
        self._high = np.zeros(1 << min(form.width, lengths.HIGH_BITS), np.int64)
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting = self._merged = 0
        self._overflown = False

    @property
    def counts_each(self) -> bool:
        """Whether each pattern is still counted, so that `add` needs runs."""
        return self._form.width > lengths.HIGH_BITS and not self._overflown

    def add(self, high: np.ndarray, run: tuple[np.ndarray, np.ndarray] | None) -> None:
        """Count a piece: occurrences of each pattern of the upper bits, and of each pattern, sorted."""
        self._high += high
        if self.counts_each and run is not None and len(run[0]):
            self._runs.append(run)
            self._waiting += len(run[0])
            if self._waiting > max(self._merged, MOST_DISTINCT // 2):
                self._merge()

    def absorb(self, other: "Histogram") -> None:
        """Count what another one of the same format has counted."""
        self._high += other._high
        self._overflown |= other._overflown
        if self._overflown:
            self._runs = []
        elif other.counts_each:
            other._merge()
            self.add(np.zeros_like(self._high), other._runs[0] if other._runs else None)

    @property
    def size(self) -> int:
        """How many patterns were counted."""
        return int(self._high.sum())

    @property
    def distinct(self) -> int | None:
        """How many different ones there are, or None if more than 2²⁴."""
        occurrences = self._occurrences()
        return None if occurrences is None else len(occurrences)

    @property
    def arrangement_bits(self) -> float | None:
        """log2(s!/Πc_j!) for the order of all s of them, or None if there are more than 2²⁴ different ones."""
        occurrences = self._occurrences()
        return None if occurrences is None else max(lengths.log2_arrangements(occurrences), 0.0)

    @property
    def high_arrangement_bits(self) -> float:
        """The same for their upper 16 bits alone."""
        return max(lengths.log2_arrangements(self._high[self._high > 0]), 0.0)

    def _occurrences(self) -> np.ndarray | None:
        if self._form.width <= lengths.HIGH_BITS:
            return self._high[self._high > 0]
        self._merge()
        if self._overflown:
            return None
        return self._runs[0][1] if self._runs else np.zeros(0, np.int64)

    def _merge(self) -> None:
        """Make one run of all."""
        if len(self._runs) > 1:
            self._runs = [merged(self._runs)]
        self._waiting = 0
        self._merged = len(self._runs[0][0]) if self._runs else 0
        if self._merged > MOST_DISTINCT:
            self._overflown, self._runs = True, []


def high_counts(patterns: np.ndarray, form: Format) -> np.ndarray:
    """Occurrences of each pattern of the upper 16 bits among some patterns, of all bits where there are fewer."""
    shift = max(form.width - lengths.HIGH_BITS, 0)
    return np.bincount((patterns >> shift).astype(np.int64), minlength=1 << min(form.width, lengths.HIGH_BITS))


def run_of(patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(different patterns in order, occurrences of each)."""
    ordered = np.sort(patterns)
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    edges = np.concatenate(([0], starts, [len(ordered)])) if len(ordered) else np.zeros(1, np.int64)
    return ordered[edges[:-1]], np.diff(edges).astype(np.uint32)


def merged(runs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """One run that counts what several do; patterns of 32 bits are sorted together with their counts, as one number."""
    patterns = np.concatenate([run[0] for run in runs])
    counts = np.concatenate([run[1] for run in runs]).astype(np.int64)
    if patterns.dtype == np.uint32 and counts.sum() < 1 << 32:
        packed = patterns.astype(np.uint64) << np.uint64(32) | counts.astype(np.uint64)
        packed.sort()
        patterns, counts = (packed >> np.uint64(32)).astype(np.uint32), (packed & np.uint64(_LOW)).astype(np.int64)
    else:
        order = np.argsort(patterns, kind="stable")
        patterns, counts = patterns[order], counts[order]
    starts = np.flatnonzero(np.concatenate(([True], patterns[1:] != patterns[:-1])))
    return patterns[starts], np.add.reduceat(counts, starts)
