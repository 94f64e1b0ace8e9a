"""Millions of symbols of one integer frequency table at once, by constriction's asymmetric numeral systems.

The coder's tables are given in floating point and quantized to multiples of 2^−24. A table of integers f_j ≥ 1 with sum
2^24 passes unchanged: "fast" quantization of k probabilities gives each the weight 1 and shares out 2^24 − k in
proportion, so weights f_j − 1 are scaled by exactly 1 and all sums are exact in float64. The same bytes come out on
every machine. Source: Duda 2013; Bamler 2022, the `constriction` library.
"""

import numpy as np
from constriction import stream  # pyrefly: ignore[missing-module-attribute]

from theory.codes.bits import Bits
from theory.codes.integers import EliasGamma

PRECISION = 24
_FRACTION = 28  # bits of `log2_fixed` behind the point


def encode(symbols: np.ndarray, frequencies: np.ndarray, expected_bits: int) -> Bits:
    """Codeword of symbols [n] in [0, k) under frequencies [k], k ≥ 2, of at least 1 each and 2^24 in all.

    Whole 32-bit words behind their number; that is coded in Elias γ as the zigzag of its distance from expected_bits /
    32, which the decoder must know too. Padding to words costs up to 31 bits.
    """
    coder = stream.stack.AnsCoder()
    coder.encode_reverse(np.ascontiguousarray(symbols, np.int32), stream_model(frequencies))
    words = coder.get_compressed()
    excess = len(words) - -(-expected_bits // 32)
    prefix = EliasGamma().encode(2 * excess if excess > 0 else 1 - 2 * excess)
    return prefix + Bits.from_bytes(words.astype(">u4").tobytes())


class AnsDecoder:
    """Reads what `encode` wrote with the same table and expectation. Raises ValueError if bits are too few for it."""

    def __init__(self, bits: Bits, frequencies: np.ndarray, expected_bits: int) -> None:
        zigzag, bits = EliasGamma().decode(bits)
        count = -(-expected_bits // 32) + (zigzag // 2 if zigzag % 2 == 0 else -(zigzag // 2))
        if count < 0:
            raise ValueError(f"the code declares {count} words")
        words, self._rest = bits.take(32 * count)
        array = np.frombuffer(words.to_bytes(), ">u4").astype(np.uint32)
        if count and not array[-1]:
            raise ValueError("the bits are no ANS codeword: its last word is 0")
        self._coder, self._model = stream.stack.AnsCoder(array), stream_model(frequencies)

    def decode(self, count: int) -> np.ndarray:
        """The next symbols, int32 [count]."""
        return self._coder.decode(self._model, count)

    def finish(self) -> Bits:
        """What follows the codeword. Raises ValueError if some of it was not used."""
        if not self._coder.is_empty():
            raise ValueError("the bits are no ANS codeword: some are left when all symbols are read")
        return self._rest


def frequencies_of(counts: np.ndarray) -> np.ndarray:
    """Frequencies [k] of at least 1 and 2^24 in all, in proportion to counts [k] ≥ 1, k < 2^23; all in integers."""
    free = (1 << PRECISION) - len(counts)
    total = int(counts.sum())
    shares = np.array([count * free // total for count in counts.tolist()], np.int64)
    shares[np.argmax(counts)] += free - shares.sum()
    return shares + 1


def entropy_bits(counts: np.ndarray) -> int:
    """⌈Σ_j c_j log2(Σc / c_j)⌉ for counts [k] ≥ 1, up to 2^−28 Σ c_j; in integers, so the same on every machine."""
    total = int(counts.sum())
    logs = log2_fixed(counts).tolist()
    sum_of_logs = sum(count * log for count, log in zip(counts.tolist(), logs, strict=True))
    return -(-(total * int(log2_fixed(np.array([total]))[0]) - sum_of_logs) >> _FRACTION)


def log2_fixed(x: np.ndarray) -> np.ndarray:
    """2^28 log2 x, within 2 below it, for integers x [...] in [1, 2^32]; int64, by repeated squaring in integers."""
    x = x.astype(np.uint64)
    powers = np.uint64(1) << np.arange(1, 33, dtype=np.uint64)
    whole = np.searchsorted(powers, x, side="right").astype(np.uint64)
    mantissa = x << np.uint64(31) >> whole  # in [2^31, 2^32)
    result = whole
    for _ in range(_FRACTION):
        mantissa = mantissa * mantissa >> np.uint64(31)
        carry = mantissa >> np.uint64(32)
        mantissa >>= carry
        result = result << np.uint64(1) | carry
    return result.astype(np.int64)


def stream_model(frequencies: np.ndarray) -> stream.model.Categorical:
    """constriction's model of exactly these frequencies."""
    return stream.model.Categorical((frequencies - 1).astype(np.float64), perfect=False)
