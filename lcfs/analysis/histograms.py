"""How often each value occurs, in one pass over any number of them and bounded memory."""

from concurrent.futures import Executor

import numpy as np

from lcfs.analysis.patterns import PIECE, Format
from theory.languages import lengths

MOST_DISTINCT = 1 << 24
_LOW = (1 << 32) - 1
_SAMPLE = 1 << 16
_NEARLY_ALL = 0.5

Run = tuple[np.ndarray, np.ndarray]
"""Different patterns in order, and the occurrences of each."""


class Histogram:
    """Occurrences of bit patterns that are not zero.

    Of formats of up to 16 bits, all patterns have a counter. Of wider ones, each pattern is counted as long as there
    are no more than 2²⁴ of them, in sorted runs that are merged when they have doubled, and beside it the 2¹⁶ patterns
    of the upper 16 bits, whatever happens. Counting each is given up, too, where after 2²³ of them nearly all differ.
    """

    def __init__(self, form: Format, pool: Executor | None = None) -> None:
        self._form, self._pool = form, pool
        self._high = np.zeros(1 << min(form.width, lengths.HIGH_BITS), np.int64)
        self._runs: list[Run] = []
        self._waiting = self._merged = 0
        self._overflown = False

    @property
    def counts_each(self) -> bool:
        """Whether each pattern is still counted, so that `add` needs runs."""
        return self._form.width > lengths.HIGH_BITS and not self._overflown

    def add(self, high: np.ndarray, run: Run | None) -> None:
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
        """How many different ones there are, or None if it was given up."""
        occurrences = self._occurrences()
        return None if occurrences is None else len(occurrences)

    @property
    def arrangement_bits(self) -> float | None:
        """log2(s!/Πc_j!) for the order of all s of them, or None if counting was given up."""
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
            self._runs = [merged(self._runs, self._pool)]
        self._waiting = 0
        self._merged = len(self._runs[0][0]) if self._runs else 0
        if self._merged > MOST_DISTINCT or self._merged > max(MOST_DISTINCT // 2, _NEARLY_ALL * self.size):
            self._overflown, self._runs = True, []


def high_counts(patterns: np.ndarray, form: Format) -> np.ndarray:
    """Occurrences of each pattern of the upper 16 bits among some patterns, of all bits where there are fewer."""
    shift = max(form.width - lengths.HIGH_BITS, 0)
    return np.bincount((patterns >> shift).astype(np.int64), minlength=1 << min(form.width, lengths.HIGH_BITS))


def run_of(patterns: np.ndarray) -> Run:
    """(different patterns in order, occurrences of each)."""
    ordered = np.sort(patterns)
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    edges = np.concatenate(([0], starts, [len(ordered)])) if len(ordered) else np.zeros(1, np.int64)
    return ordered[edges[:-1]], np.diff(edges).astype(np.uint32)


def merged(runs: list[Run], pool: Executor | None = None) -> Run:
    """One run that counts what several do, interval by interval, each of which fits a cache, in a pool's threads."""
    sizes = sum(len(run[0]) for run in runs)
    sample = np.sort(np.concatenate([run[0][:: max(sizes // _SAMPLE, 1)] for run in runs]))
    intervals = max(sizes // PIECE, 1)
    inner = np.unique(sample[len(sample) * np.arange(1, intervals) // intervals])
    cuts = [np.concatenate(([0], np.searchsorted(run[0], inner), [len(run[0])])) for run in runs]
    jobs = [
        [(run[0][cut[i] : cut[i + 1]], run[1][cut[i] : cut[i + 1]]) for run, cut in zip(runs, cuts, strict=True)]
        for i in range(len(inner) + 1)
    ]
    done = list(pool.map(_merged_interval, jobs) if pool and len(jobs) > 1 else map(_merged_interval, jobs))
    return np.concatenate([run[0] for run in done]), np.concatenate([run[1] for run in done])


def _merged_interval(runs: list[Run]) -> Run:
    """The same for a few; patterns of 32 bits are sorted together with their counts, as one number."""
    patterns = np.concatenate([run[0] for run in runs])
    counts = np.concatenate([run[1] for run in runs]).astype(np.int64)
    if not len(patterns):
        return patterns, counts
    if patterns.dtype == np.uint32 and counts.max() < 1 << 32:
        packed = patterns.astype(np.uint64) << np.uint64(32) | counts.astype(np.uint64)
        packed.sort()
        patterns, counts = (packed >> np.uint64(32)).astype(np.uint32), (packed & np.uint64(_LOW)).astype(np.int64)
    else:
        order = np.argsort(patterns, kind="stable")
        patterns, counts = patterns[order], counts[order]
    starts = np.flatnonzero(np.concatenate(([True], patterns[1:] != patterns[:-1])))
    return patterns[starts], np.add.reduceat(counts, starts)
