"""Codes for one integer: Elias's for any x ≥ 1 and the uniform one for a known range."""

import math
from dataclasses import dataclass
from operator import index

from theory.codes.bits import Bits
from theory.codes.code import Code


@dataclass(frozen=True)
class EliasGamma(Code[int]):
    """Elias's γ code for an integer x ≥ 1, 2⌊log2 x⌋ + 1 bits: ⌊log2 x⌋ zeros, then x in binary.

    Source: Elias 1975.

    >>> EliasGamma().encode(5)
    Bits('00101')
    """

    def length(self, x: int) -> int:
        return 2 * _positive(x).bit_length() - 1

    def encode(self, x: int) -> Bits:
        return Bits.from_int(_positive(x), self.length(x))

    def decode(self, bits: Bits) -> tuple[int, Bits]:
        zeros = bits.leading_zeros()
        word, rest = bits.take(2 * zeros + 1)
        return word.to_int(), rest


@dataclass(frozen=True)
class EliasDelta(Code[int]):
    """Elias's δ code for an integer x ≥ 1: its bit length in γ, then x but for its leading one.

    Length: ⌊log2 x⌋ + 2⌊log2(⌊log2 x⌋ + 1)⌋ + 1 bits.

    Source: Elias 1975.

    >>> EliasDelta().length(8260), EliasDelta().length(256_000_000)
    (20, 36)
    """

    def length(self, x: int) -> int:
        size = _positive(x).bit_length()
        return EliasGamma().length(size) + size - 1

    def encode(self, x: int) -> Bits:
        x = _positive(x)
        size = x.bit_length()
        return EliasGamma().encode(size) + Bits.from_int(x - (1 << size - 1), size - 1)

    def decode(self, bits: Bits) -> tuple[int, Bits]:
        size, bits = EliasGamma().decode(bits)
        tail, rest = bits.take(size - 1)
        return (1 << size - 1) + tail.to_int(), rest


@dataclass(frozen=True)
class EliasOmega(Code[int]):
    """Elias's ω code for an integer x ≥ 1: binary numbers, each the size of the next, x the last, then a zero.

    Source: Elias 1975.

    >>> EliasOmega().encode(16)
    Bits('10100100000')
    """

    def length(self, x: int) -> int:
        x, total = _positive(x), 1
        while x > 1:
            total += x.bit_length()
            x = x.bit_length() - 1
        return total

    def encode(self, x: int) -> Bits:
        x, groups = _positive(x), [Bits("0")]
        while x > 1:
            groups.append(Bits.from_int(x, x.bit_length()))
            x = x.bit_length() - 1
        return Bits.join(reversed(groups))

    def decode(self, bits: Bits) -> tuple[int, Bits]:
        x = 1
        while True:
            first, rest = bits.take(1)
            if not first.to_int():
                return x, rest
            group, bits = bits.take(x + 1)
            x = group.to_int()


@dataclass(frozen=True)
class Uniform(Code[int]):
    """Code for an integer 0 ≤ x < n in ⌊log2 n⌋ or ⌈log2 n⌉ bits, phased-in binary; its Kraft sum is 1.

    With k = ⌊log2 n⌋ the first 2^(k+1) − n numbers take k bits and the others k + 1. n may have thousands of bits.

    >>> [str(Uniform(3).encode(x)) for x in range(3)]
    ['0', '10', '11']
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1, got {self.n}")

    def length(self, x: int) -> int:
        bits, short = self._split()
        return bits + (self._checked(x) >= short)

    def ideal(self, x: int) -> float:
        """log2 n bits."""
        self._checked(x)
        return math.log2(self.n)

    def encode(self, x: int) -> Bits:
        bits, short = self._split()
        x = self._checked(x)
        return Bits.from_int(x, bits) if x < short else Bits.from_int(x + short, bits + 1)

    def decode(self, bits: Bits) -> tuple[int, Bits]:
        width, short = self._split()
        word, rest = bits.take(width)
        x = word.to_int()
        if x < short:
            return x, rest
        word, rest = bits.take(width + 1)
        return word.to_int() - short, rest

    def _split(self) -> tuple[int, int]:
        """(bits of a short word, how many numbers have one)."""
        bits = self.n.bit_length() - 1
        return bits, (2 << bits) - self.n

    def _checked(self, x: int) -> int:
        x = index(x)
        if not 0 <= x < self.n:
            found = f"{x} for n = {self.n}" if max(abs(x), self.n) < 1 << 64 else "numbers of more than 64 bits"
            raise ValueError(f"x must lie in [0, n), got {found}")
        return x


def _positive(x: int) -> int:
    if x < 1:
        raise ValueError(f"Elias codes are for integers of at least 1, got {x}")
    return index(x)
