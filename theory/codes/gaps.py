"""Subsets of millions of elements: the gaps between them as geometric variables, some 50 bits above log2 C(n, s)."""

import functools
from dataclasses import dataclass

import numpy as np

from theory.codes import ans
from theory.codes.bits import Bits
from theory.codes.code import Code
from theory.codes.subsets import EnumeratedSubset, check_positions, complement, log2_binomial

_MOST_SYMBOLS = 1 << 16
_LEAST_FREQUENCY = 8  # keeps the loss by rounding frequencies below 1e-5 bits a gap
_ENUMERATED = (
    1024  # elements up to which the exact index is fast in any n, as it is for all sizes in four times as many
)


@dataclass(frozen=True)
class GapSubset(Code[np.ndarray]):
    """Code for a large subset by the gaps between its elements, some 50 bits above log2 C(n, s).

    Objects: int64 `[s]`, strictly ascending, in [0, n), n ≤ 2^32; n and s are known to the decoder.

    The elements (or the others, if these are fewer) are taken for independent, of probability q = s/n. A gap of k < G
    zeros before the next one has the integer frequency ≈ 2^24 (1−q)^k q; an escape of frequency ≈ 2^24 (1−q)^G says "G
    zeros, and then as before", which is exact because geometric variables have no memory. The length is n H(q) =
    log2 C(n,s) + ½ log2(2π s (1−q)) bits, plus the padding of `ans.encode` and some bits of rounding.
    """

    n: int
    size: int

    def __post_init__(self) -> None:
        if not 0 <= self.size <= self.n <= 1 << 32:
            raise ValueError(f"size and n must satisfy 0 ≤ size ≤ n ≤ 2^32, got {self.size} and {self.n}")
        if 0 < self._fewer < self.n >> 20:
            raise ValueError(f"size must be 0 or at least n / 2^20 from 0 and n, got {self.size} of {self.n}")

    @property
    def _fewer(self) -> int:
        return min(self.size, self.n - self.size)

    def ideal(self, x: np.ndarray) -> float:
        """log2 C(n, s) bits."""
        check_positions(x, self.n, self.size)
        return log2_binomial(self.n, self.size)

    def encode(self, x: np.ndarray) -> Bits:
        check_positions(x, self.n, self.size)
        if not self._fewer:
            return Bits()
        positions = x if self._fewer == self.size else complement(x, self.n)
        table, expected = self._table()
        escapes, literals = np.divmod(np.diff(positions, prepend=-1) - 1, len(table) - 1)
        symbols = np.full(len(positions) + escapes.sum(), len(table) - 1, np.int32)
        symbols[np.cumsum(escapes + 1) - 1] = literals
        return ans.encode(symbols, table, expected)

    def decode(self, bits: Bits) -> tuple[np.ndarray, Bits]:
        if not self._fewer:
            return np.arange(self.size, dtype=np.int64), bits
        table, expected = self._table()
        decoder = ans.AnsDecoder(bits, table, expected)
        ends, missing, reached = [], self._fewer, -1
        while missing:
            symbols = decoder.decode(missing)
            literal = symbols < len(table) - 1
            steps = np.cumsum(symbols + literal, dtype=np.int64) + reached
            ends.append(steps[literal])
            missing -= len(ends[-1])
            reached = int(steps[-1])
            if reached >= self.n:
                raise ValueError(f"the gaps of the code lead beyond the {self.n} positions")
        positions = np.concatenate(ends)
        return positions if self._fewer == self.size else complement(positions, self.n), decoder.finish()

    def _table(self) -> tuple[np.ndarray, int]:
        """(frequencies of the gaps 0 … G − 1 and of the escape, expected bits)."""
        return _geometric(self.n, self._fewer), ans.entropy_bits(np.array([self._fewer, self.n - self._fewer]))


def subset_code(n: int, size: int) -> EnumeratedSubset | GapSubset:
    """The code for a subset of [0, n), n ≤ 2^32, of known size: by its index where that is fast, else by its gaps."""
    if n <= 4 * _ENUMERATED or min(size, n - size) <= max(_ENUMERATED, n >> 20):
        return EnumeratedSubset(n, size)
    return GapSubset(n, size)


@functools.lru_cache(maxsize=256)
def _geometric(n: int, s: int) -> np.ndarray:
    """int64 [G + 1], at least 1 each and 2^24 in all: 2^24 q (1−q)^k for k < G and 2^24 (1−q)^G, rounded, q = s/n."""
    survivors, exact = [1 << ans.PRECISION], 1 << 64
    while len(survivors) < _MOST_SYMBOLS:
        exact = exact * (n - s) // n
        rounded = exact >> 64 - ans.PRECISION
        if len(survivors) > 1 and rounded * s < _LEAST_FREQUENCY * n:
            break
        survivors.append(rounded)
    table = -np.diff(np.array([*survivors, 0], np.int64))
    table.flags.writeable = False
    return table
