"""Subsets of a known size by their exact index: all C(n, s) of them are equally long, but for the last bit.

The index of a subset of [0, n) splits at ⌊n/2⌋. The C(⌊n/2⌋, i) C(⌈n/2⌉, s−i) subsets with i elements below come
together, the likeliest i first, so that few of these numbers are ever needed; among them the index of the lower part
goes before that of the upper part. Small parts count in the combinatorial number system, Σ_i C(p_i, i+1). Of more than
n/2 elements the others are indexed.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from theory.codes.bits import Bits
from theory.codes.code import Code
from theory.codes.integers import Uniform

_LEAF = 64  # n up to which a table is faster than splitting
_CHOOSE = [[math.comb(p, i) for i in range(_LEAF + 1)] for p in range(_LEAF)]


@dataclass(frozen=True)
class EnumeratedSubset(Code[np.ndarray]):
    """Code for a subset by its index, log2 C(n, s) bits rounded up or down.

    Objects: int64 `[s]`, strictly ascending, in [0, n); n and s are known to the decoder.
    """

    n: int
    size: int

    def __post_init__(self) -> None:
        if not 0 <= self.size <= self.n <= 1 << 62:
            raise ValueError(f"size and n must satisfy 0 ≤ size ≤ n ≤ 2^62, got {self.size} and {self.n}")

    def ideal(self, x: np.ndarray) -> float:
        """log2 C(n, s) bits."""
        check_positions(x, self.n, self.size)
        return log2_binomial(self.n, self.size)

    def encode(self, x: np.ndarray) -> Bits:
        check_positions(x, self.n, self.size)
        fewer = x if 2 * self.size <= self.n else complement(x, self.n)
        return Uniform(math.comb(self.n, self.size)).encode(_rank(fewer.tolist(), 0, self.n))

    def decode(self, bits: Bits) -> tuple[np.ndarray, Bits]:
        if log2_binomial(self.n, self.size) > len(bits) + 2:  # before C(n, s) is computed
            raise ValueError(f"the code is truncated: {len(bits)} bits hold no index of {self.size} among {self.n}")
        rank, rest = Uniform(math.comb(self.n, self.size)).decode(bits)
        fewer = np.array(_unrank(rank, 0, self.n, min(self.size, self.n - self.size)), np.int64)
        return fewer if 2 * self.size <= self.n else complement(fewer, self.n), rest


def log2_binomial(n: int, s: int) -> float:
    """Bits log2 C(n, s) of a subset, 0 ≤ s ≤ n, relative error about 1e-15: Stirling's series where nothing cancels."""
    s = min(s, n - s)
    if s <= 64:
        return math.log2(math.comb(n, s))
    nats = s * math.log(n / s) - (n - s) * math.log1p(-s / n) + 0.5 * math.log(n / s / (n - s) / (2 * math.pi))
    return (nats + _stirling_error(n) - _stirling_error(s) - _stirling_error(n - s)) / math.log(2)


def _stirling_error(n: int) -> float:
    """ln n! − ln(sqrt(2πn) (n/e)^n) for n > 64, error below 1e-12."""
    return (1 / 12 - 1 / 360 / n**2) / n


def check_positions(x: np.ndarray, n: int, size: int | None = None) -> None:
    """Raises ValueError unless x is int64 [size], strictly ascending, in [0, n)."""
    if x.ndim != 1 or x.dtype != np.int64:
        raise ValueError(f"positions must be int64 of one axis, got {x.dtype} of shape {x.shape}")
    if size is not None and len(x) != size:
        raise ValueError(f"the subset must have {size} positions, got {len(x)}")
    if len(x) and not (x[0] >= 0 and x[-1] < n and np.all(x[1:] > x[:-1])):
        raise ValueError(f"positions must be strictly ascending in [0, {n})")


def complement(positions: np.ndarray, n: int) -> np.ndarray:
    """The numbers of [0, n) that are not among the positions, ascending, int64."""
    free = np.ones(n, bool)
    free[positions] = False
    return np.flatnonzero(free)


def _rank(positions: Sequence[int], start: int, n: int) -> int:
    """Index of the sorted positions among the subsets of [start, start + n) of their size."""
    s = len(positions)
    if s == 0 or s == n:
        return 0
    if s == 1:
        return positions[0] - start
    if n <= _LEAF:
        return sum(_CHOOSE[p - start][i + 1] for i, p in enumerate(positions))
    lower, upper = n // 2, n - n // 2
    split = bisect_left(positions, start + lower)
    before = sum(ways for _, ways in takewhile(lambda choice: choice[0] != split, _splits(lower, upper, s)))
    low = _rank(positions[:split], start, lower)
    high = _rank(positions[split:], start + lower, upper)
    return before + low * math.comb(upper, s - split) + high


def _unrank(rank: int, start: int, n: int, s: int) -> list[int]:
    """The subset of [start, start + n) of size s with this index: the inverse of `_rank`."""
    if s == 0:
        return []
    if s == n:
        return list(range(start, start + n))
    if s == 1:
        return [start + rank]
    if n <= _LEAF:
        return _unrank_leaf(rank, start, n, s)
    lower, upper = n // 2, n - n // 2
    for split, ways in _splits(lower, upper, s):
        if rank < ways:
            low, high = divmod(rank, math.comb(upper, s - split))
            return _unrank(low, start, lower, split) + _unrank(high, start + lower, upper, s - split)
        rank -= ways
    raise AssertionError("the rank is not below C(n, s)")


def _unrank_leaf(rank: int, start: int, n: int, s: int) -> list[int]:
    positions = []
    for p in range(n - 1, -1, -1):
        if s and _CHOOSE[p][s] <= rank:
            rank -= _CHOOSE[p][s]
            s -= 1
            positions.append(start + p)
    return positions[::-1]


def _splits(lower: int, upper: int, s: int) -> Iterator[tuple[int, int]]:
    """(i, C(lower, i) C(upper, s−i)) for every possible i: the likeliest, then by turns the next above and below."""
    first, last = max(0, s - upper), min(s, lower)
    above = below = s * lower // (lower + upper)
    ways_above = ways_below = math.comb(lower, above) * math.comb(upper, s - above)
    yield above, ways_above
    while above < last or below > first:
        if above < last:
            ways_above = ways_above * ((lower - above) * (s - above)) // ((above + 1) * (upper - s + above + 1))
            above += 1
            yield above, ways_above
        if below > first:
            ways_below = ways_below * (below * (upper - s + below)) // ((lower - below + 1) * (s - below + 1))
            below -= 1
            yield below, ways_below
