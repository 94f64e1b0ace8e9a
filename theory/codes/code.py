"""What every code can do."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from theory.codes.bits import Bits

T = TypeVar("T")


class Code(ABC, Generic[T]):
    """A prefix-free code for objects of one kind: no codeword begins another, so Σ_x 2^−length(x) ≤ 1 (Kraft).

    `decode` accepts codewords only: what it has read is what `encode` makes of its answer.
    """

    @abstractmethod
    def encode(self, x: T) -> Bits:
        """The codeword of x. Raises ValueError if x is not of this kind."""

    @abstractmethod
    def decode(self, bits: Bits) -> tuple[T, Bits]:
        """Object whose codeword the bits begin with, and what follows. Raises ValueError if they begin with none."""

    def length(self, x: T) -> int:
        """Number of bits of x's codeword."""
        return len(self.encode(x))

    def ideal(self, x: T) -> float:
        """Bits −log2 of the probability that the code realizes up to rounding; `length` where nothing is rounded."""
        return float(self.length(x))
