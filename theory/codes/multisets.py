"""Hidden units in no order: permuting the units of a layer leaves its function alone, so their multiset is enough."""

import functools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from theory.codes.arithmetic import ArithmeticDecoder, ArithmeticEncoder
from theory.codes.bits import Bits
from theory.codes.code import Code

_LARGEST_BINOMIAL = 1 << 10  # units at a branch; the total of its table is 2^units
_STEP = 32  # bits of a unit that stands alone pass through the coder at once


def sorted_units_saving(units: Sequence[int]) -> float:
    """Bits that c units cost less as a multiset than as a sequence, log2(c! / Π mult!).

    >>> round(sorted_units_saving([7, 7, 1]), 6) == round(math.log2(3), 6)
    True
    """
    nats = math.lgamma(len(units) + 1) - sum(math.lgamma(count + 1) for count in Counter(units).values())
    return nats / math.log(2)


@dataclass(frozen=True)
class Multiset(Code[list[int]]):
    """Code for units in no order, size·width − log2(size! / Π mult!) bits and less than 2 more.

    Objects: `size` integers in [0, 2^width), in any order.

    Units drawn uniformly have that −log2 of the probability of their multiset. Bit by bit, of m units that agree so far
    the number j that go on with a 1 is coded as binomial, C(m, j) of 2^m; for m > 1024 as uniform, at most log2(m + 1)
    bits longer. Decoded units are ascending; width and size are known to the decoder.
    """

    width: int
    size: int

    def __post_init__(self) -> None:
        if self.width < 0 or not 0 <= self.size < 1 << 32:
            raise ValueError(f"width must be at least 0 and size in [0, 2^32), got {self.width} and {self.size}")

    def ideal(self, x: list[int]) -> float:
        """size·width − log2(size! / Π mult!) bits."""
        self._check(x)
        return self.size * self.width - sorted_units_saving(x)

    def encode(self, x: list[int]) -> Bits:
        self._check(x)
        coder = ArithmeticEncoder(self._largest_total)
        groups = [sorted(x)]
        for level in range(self.width - 1, -1, -1):
            halves = []
            for group in groups:
                ones = sum(unit >> level & 1 for unit in group)
                coder.encode(*_interval(len(group), ones))
                halves += [group[: len(group) - ones], group[len(group) - ones :]]
            groups = [half for half in halves if len(half) > 1]
            for half in halves:
                if len(half) == 1:
                    _encode_tail(coder, half[0], level)
        return coder.finish()

    def decode(self, bits: Bits) -> tuple[list[int], Bits]:
        coder = ArithmeticDecoder(bits, self._largest_total)
        found: list[int] = []
        groups = [(0, self.size)]  # (leading bits, number of units)
        for level in range(self.width - 1, -1, -1):
            halves = []
            for prefix, size in groups:
                ones = _decode_ones(coder, size)
                halves += [(2 * prefix, size - ones), (2 * prefix + 1, ones)]
            groups = [(prefix, size) for prefix, size in halves if size > 1]
            found += [_decode_tail(coder, prefix, level) for prefix, size in halves if size == 1]
        for unit, size in groups:
            found += [unit] * size
        return sorted(found), coder.finish()

    @property
    def _largest_total(self) -> int:
        return 1 << max(_STEP, min(self.size, _LARGEST_BINOMIAL))

    def _check(self, x: list[int]) -> None:
        if len(x) != self.size:
            raise ValueError(f"there must be {self.size} units, got {len(x)}")
        if x and not 0 <= min(x) <= max(x) < 1 << self.width:
            raise ValueError(f"units must lie in [0, 2^{self.width})")


@functools.lru_cache(maxsize=128)
def _binomials(m: int) -> list[int]:
    """[m + 2] cumulative sums of C(m, 0), …, C(m, m)."""
    row = [1]
    for j in range(m):
        row.append(row[-1] * (m - j) // (j + 1))
    return [0, *accumulate(row)]


def _interval(m: int, ones: int) -> tuple[int, int, int]:
    """(cumulative, frequency, total) of the number of units that go on with a 1, of m."""
    if m > _LARGEST_BINOMIAL:
        return ones, 1, m + 1
    row = _binomials(m)
    return row[ones], row[ones + 1] - row[ones], row[-1]


def _decode_ones(coder: ArithmeticDecoder, m: int) -> int:
    if m <= _LARGEST_BINOMIAL:
        return coder.decode(_binomials(m))
    ones = coder.target(m + 1)
    coder.advance(ones, 1)
    return ones


def _encode_tail(coder: ArithmeticEncoder, unit: int, level: int) -> None:
    """Writes the last `level` bits of a unit."""
    while level:
        step = min(level, _STEP)
        level -= step
        coder.encode(unit >> level & (1 << step) - 1, 1, 1 << step)


def _decode_tail(coder: ArithmeticDecoder, unit: int, level: int) -> int:
    """The unit with these leading bits and the `level` last ones that come next."""
    while level:
        step = min(level, _STEP)
        level -= step
        low = coder.target(1 << step)
        coder.advance(low, 1)
        unit = unit << step | low
    return unit
