"""Symbols whose probabilities are learned on the way, per context, by the rule of Krichevsky and Trofimov (KT).

After t symbols of a context, c_a of them a, the next is a with probability (2c_a + 1) / (2t + K): integers.
"""

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from theory.codes.arithmetic import ArithmeticDecoder, ArithmeticEncoder
from theory.codes.bits import Bits
from theory.codes.code import Code


@dataclass(frozen=True, eq=False)
class EntropyCoded(Code[np.ndarray]):
    """Code for symbols of a small alphabet, in less than 2 bits more than −log2 of their KT probability.

    Objects: int64 `[size]`, each in [0, alphabet). Some microseconds a symbol.

    Args:
        size: number of symbols, known to the decoder.
        alphabet: number of different symbols.
        contexts: integers `[size]` that the decoder knows too, or None for a single one: symbols of different contexts
            are learned apart.
    Source: Krichevsky and Trofimov 1981.
    """

    alphabet: int
    size: int
    contexts: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.alphabet <= 1 << 16 or not 0 <= self.size < 1 << 30:
            raise ValueError(f"alphabet must lie in [1, 2^16] and size in [0, 2^30), got {self.alphabet}, {self.size}")
        if self.contexts is not None:
            check_contexts(self.contexts, self.size)

    def ideal(self, x: np.ndarray) -> float:
        """Bits −log2 Π_contexts Γ(K/2) / Γ(t + K/2) Π_a Γ(c_a + ½) / Γ(½)."""
        self._check(x)
        return sum(kt_bits(np.bincount(x[members], minlength=self.alphabet)) for members in self._members())

    def encode(self, x: np.ndarray) -> Bits:
        self._check(x)
        coder = ArithmeticEncoder()
        learned = self._fresh()
        for symbol, context in zip(x.tolist(), self._ids(), strict=True):
            weights = learned[context]
            coder.encode(sum(weights[:symbol]), weights[symbol], sum(weights))
            weights[symbol] += 2
        return coder.finish()

    def decode(self, bits: Bits) -> tuple[np.ndarray, Bits]:
        coder = ArithmeticDecoder(bits)
        learned = self._fresh()
        symbols = []
        for context in self._ids():
            weights = learned[context]
            symbol = coder.decode([0, *accumulate(weights)])
            weights[symbol] += 2
            symbols.append(symbol)
        return np.array(symbols, np.int64), coder.finish()

    def _ids(self) -> list[int]:
        return [0] * self.size if self.contexts is None else self.contexts.tolist()

    def _fresh(self) -> dict[int, list[int]]:
        """2c_a + 1 of each context."""
        return {context: [1] * self.alphabet for context in set(self._ids())}

    def _members(self) -> list[np.ndarray]:
        return members_of(np.zeros(self.size, np.int64) if self.contexts is None else self.contexts)

    def _check(self, x: np.ndarray) -> None:
        if x.shape != (self.size,) or x.dtype.kind not in "iu":
            raise ValueError(f"x must be integers of shape ({self.size},), got {x.dtype} of shape {x.shape}")
        if self.size and not 0 <= x.min() <= x.max() < self.alphabet:
            raise ValueError(f"symbols must lie in [0, {self.alphabet}), got {x.min()} … {x.max()}")


def kt_bits(counts: np.ndarray) -> float:
    """Length in bits, −log2 of the KT probability, of any sequence with these counts `[K]`."""
    k, total = len(counts), int(counts.sum())
    nats = math.lgamma(total + k / 2) - math.lgamma(k / 2)
    nats -= sum(math.lgamma(c + 0.5) - math.lgamma(0.5) for c in counts.tolist())
    return nats / math.log(2)


def members_of(contexts: np.ndarray) -> list[np.ndarray]:
    """The positions of each context, ascending; the contexts in ascending order."""
    order = np.argsort(contexts, kind="stable").astype(np.int64)
    starts = np.flatnonzero(np.diff(contexts[order])) + 1
    return np.split(order, starts) if len(contexts) else []


def check_contexts(contexts: np.ndarray, size: int) -> None:
    """Raises ValueError unless contexts are integers [size]."""
    if contexts.shape != (size,) or contexts.dtype.kind not in "iu":
        raise ValueError(
            f"contexts must be integers of shape ({size},), got {contexts.dtype} of shape {contexts.shape}"
        )
