"""Supports: which of n positions hold a non-zero weight. Each is an int64 array [s], strictly ascending, in [0, n)."""

import math
from dataclasses import dataclass

import numpy as np

from theory.codes.bits import Bits
from theory.codes.code import Code
from theory.codes.gaps import GapSubset, subset_code
from theory.codes.integers import Uniform
from theory.codes.subsets import EnumeratedSubset, check_positions, log2_binomial


@dataclass(frozen=True)
class Support(Code[np.ndarray]):
    """Code for a support: its size s, then its index among C(n, s).

    Length: log2(n+1) + log2 C(n, s) bits, each term rounded to a neighbouring integer. For n up to some
    10^5, or few elements (or few others) in any n ≤ 2^32.
    """

    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.n <= 1 << 32:
            raise ValueError(f"n must lie in [0, 2^32], got {self.n}")

    def ideal(self, x: np.ndarray) -> float:
        """log2(n+1) + log2 C(n, s) bits."""
        check_positions(x, self.n)
        return math.log2(self.n + 1) + log2_binomial(self.n, len(x))

    def encode(self, x: np.ndarray) -> Bits:
        check_positions(x, self.n)
        return Uniform(self.n + 1).encode(len(x)) + self._subset(len(x)).encode(x)

    def decode(self, bits: Bits) -> tuple[np.ndarray, Bits]:
        size, bits = Uniform(self.n + 1).decode(bits)
        return self._subset(size).decode(bits)

    def _subset(self, size: int) -> EnumeratedSubset | GapSubset:
        return EnumeratedSubset(self.n, size)


@dataclass(frozen=True)
class BulkSupport(Support):
    """Code for a support of any n ≤ 2^32: `Support` while that is fast, beyond it the gaps, some 50 bits longer.

    See `theory.codes.gaps.subset_code`.
    """

    def _subset(self, size: int) -> EnumeratedSubset | GapSubset:
        return subset_code(self.n, size)


@dataclass(frozen=True)
class WindowSupport(Code[np.ndarray]):
    """Code for a local filter's support: the bounding window, then a subset of it.

    Objects: positions on flattened inputs `[channels, height, width]`.

    log2((H+1) (H−h+1) W (W−w+1)) + log2 chw + log2 C(chw, s) bits, each factor rounded to a neighbouring integer: the
    window's height h (0: no element), top row, width w, left column, then s ≥ 1 and the index. It spans all channels.
    """

    height: int
    width: int
    channels: int = 1

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.channels) < 1:
            raise ValueError(f"height, width and channels must be at least 1, got {self}")

    def ideal(self, x: np.ndarray) -> float:
        """The sum of the logarithms above, in bits."""
        if not len(x):
            return math.log2(self.height + 1)
        (_, h), (_, w) = self._window(x)
        choices = (self.height + 1) * (self.height - h + 1) * self.width * (self.width - w + 1)
        area = self.channels * h * w
        return math.log2(choices) + math.log2(area) + log2_binomial(area, len(x))

    def encode(self, x: np.ndarray) -> Bits:
        check_positions(x, self.channels * self.height * self.width)
        if not len(x):
            return Uniform(self.height + 1).encode(0)
        (top, h), (left, w) = self._window(x)
        channel, row, column = np.unravel_index(x, (self.channels, self.height, self.width))
        inside = np.ravel_multi_index((channel, row - top, column - left), (self.channels, h, w)).astype(np.int64)
        area = self.channels * h * w
        parts = (
            Uniform(self.height + 1).encode(h),
            Uniform(self.height - h + 1).encode(top),
            Uniform(self.width).encode(w - 1),
            Uniform(self.width - w + 1).encode(left),
            Uniform(area).encode(len(x) - 1),
            subset_code(area, len(x)).encode(inside),
        )
        return Bits.join(parts)

    def decode(self, bits: Bits) -> tuple[np.ndarray, Bits]:
        h, bits = Uniform(self.height + 1).decode(bits)
        if not h:
            return np.empty(0, np.int64), bits
        top, bits = Uniform(self.height - h + 1).decode(bits)
        less, bits = Uniform(self.width).decode(bits)
        w = less + 1
        left, bits = Uniform(self.width - w + 1).decode(bits)
        area = self.channels * h * w
        less, bits = Uniform(area).decode(bits)
        inside, rest = subset_code(area, less + 1).decode(bits)
        channel, row, column = np.unravel_index(inside, (self.channels, h, w))
        shape = (self.channels, self.height, self.width)
        x = np.ravel_multi_index((channel, row + top, column + left), shape).astype(np.int64)
        if self._window(x) != ((top, h), (left, w)):
            raise ValueError("the window of the code is larger than its support")
        return x, rest

    def _window(self, x: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
        """((top, height), (left, width)) of the bounding window of at least one position."""
        _, row, column = np.unravel_index(x, (self.channels, self.height, self.width))
        top, left = int(row.min()), int(column.min())
        return (top, int(row.max()) - top + 1), (left, int(column.max()) - left + 1)
