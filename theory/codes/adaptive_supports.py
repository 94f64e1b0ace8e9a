"""Supports whose density is learned per context, such as a layer or a row of weights."""

import functools
import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from theory.codes.adaptive_symbols import check_contexts, kt_bits, members_of
from theory.codes.arithmetic import ArithmeticDecoder, ArithmeticEncoder
from theory.codes.bits import Bits
from theory.codes.code import Code
from theory.codes.gaps import subset_code
from theory.codes.subsets import check_positions

_LARGEST_TABLE = 1 << 16  # positions of a context for whose number of elements a table of probabilities is kept
_TABLE_BITS = 30


@dataclass(frozen=True, eq=False)
class AdaptiveSupport(Code[np.ndarray]):
    """Code for a support whose density differs between known contexts: about nH + ½ log2 n + 1 bits a context.

    Objects: positions of the non-zeros, int64 `[s]`, strictly ascending, in [0, n).

    n_c bits with s_c ones have the KT probability P(s_c) / C(n_c, s_c), P(s) = C(2s, s) C(2(n−s), n−s) / 4^n. So first
    come all s_c in one arithmetic code, less than 2 bits over, then the subset of s_c elements in every context, by
    `theory.codes.gaps.subset_code`: an index, up to a bit over (0.09 on average), or, in bulk, some 50 bits over.
    Contexts of more than 2^16 positions take P(s) = 1/(n+1), which is at most ½ log2 n bits longer.

    Args:
        contexts: integers `[n]`, for instance the layer or the row of each position; known to the decoder.
    """

    contexts: np.ndarray

    def __post_init__(self) -> None:
        check_contexts(self.contexts, len(self.contexts))

    def ideal(self, x: np.ndarray) -> float:
        """Sum over contexts of −log2 of the KT probability, in bits."""
        return sum(kt_bits(np.bincount(part, minlength=2)) for part in self._parts(x))

    def encode(self, x: np.ndarray) -> Bits:
        coder, subsets = ArithmeticEncoder(), []
        for part in self._parts(x):
            n, positions = len(part), np.flatnonzero(part)
            coder.encode(*_interval(n, len(positions)))
            subsets.append(subset_code(n, len(positions)).encode(positions))
        return Bits.join([coder.finish(), *subsets])

    def decode(self, bits: Bits) -> tuple[np.ndarray, Bits]:
        coder, members = ArithmeticDecoder(bits), members_of(self.contexts)
        sizes = [_decode_size(coder, len(positions)) for positions in members]
        bits = coder.finish()
        found = [np.empty(0, np.int64)]
        for positions, size in zip(members, sizes, strict=True):
            inside, bits = subset_code(len(positions), size).decode(bits)
            found.append(positions[inside])
        return np.sort(np.concatenate(found)), bits

    def _parts(self, x: np.ndarray) -> list[np.ndarray]:
        """The indicator of x in each context, in ascending order of contexts."""
        check_positions(x, len(self.contexts))
        indicator = np.zeros(len(self.contexts), np.int64)
        indicator[x] = 1
        return [indicator[positions] for positions in members_of(self.contexts)]


def _interval(n: int, size: int) -> tuple[int, int, int]:
    """(cumulative, frequency, total) of the number of elements of a context."""
    if n > _LARGEST_TABLE:
        return size, 1, n + 1
    table = _size_table(n)
    return table[size], table[size + 1] - table[size], table[-1]


def _decode_size(coder: ArithmeticDecoder, n: int) -> int:
    if n <= _LARGEST_TABLE:
        return coder.decode(_size_table(n))
    size = coder.target(n + 1)
    coder.advance(size, 1)
    return size


@functools.lru_cache(maxsize=64)
def _size_table(n: int) -> list[int]:
    """[n + 2] cumulative frequencies of s = 0 … n: 2^30 C(2s, s) C(2(n−s), n−s) / 4^n, rounded up to integers."""
    guard = 32
    weight = math.comb(2 * n, n) << _TABLE_BITS + guard >> 2 * n
    frequencies = []
    for s in range(n + 1):
        frequencies.append((weight >> guard) + 1)
        if s < n:
            weight = weight * ((2 * s + 1) * (n - s)) // ((s + 1) * (2 * (n - s) - 1))
    return [0, *accumulate(frequencies)]
