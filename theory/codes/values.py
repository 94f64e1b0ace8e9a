"""Values of the non-zero weights as b-bit patterns: each on its own, or shared through a codebook."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from theory.codes import ans
from theory.codes.arithmetic import ArithmeticDecoder, ArithmeticEncoder
from theory.codes.bits import Bits
from theory.codes.code import Code
from theory.codes.gaps import subset_code
from theory.codes.integers import Uniform
from theory.codes.packing import pack, pattern_type, unpack
from theory.codes.subsets import log2_binomial

_MOST_SHARED = 1 << 22  # distinct values: a table of 24-bit frequencies has little to say about more
_EXACT_SIZE = 1 << 13  # values up to which the labels are coded one by one, exactly


@dataclass(frozen=True)
class OwnValues(Code[np.ndarray]):
    """Code for values that share nothing: size·bits bits, 1 ≤ bits ≤ 64. The size is known to the decoder.

    Patterns are integers [size] in [0, 2^bits); decoded ones are of the smallest unsigned type that holds them.
    """

    bits: int
    size: int

    def __post_init__(self) -> None:
        _check_parameters(self.bits, 64, self.size)

    def length(self, x: np.ndarray) -> int:
        _check_size(x, self.size)
        return self.size * self.bits

    def encode(self, x: np.ndarray) -> Bits:
        _check_size(x, self.size)
        return pack(x, self.bits)

    def decode(self, bits: Bits) -> tuple[np.ndarray, Bits]:
        return unpack(bits, self.bits, self.size)


@dataclass(frozen=True)
class SharedValues(Code[np.ndarray]):
    """Code for values of which few are distinct: a codebook of k patterns, then which value is which.

    Objects: patterns of `bits` bits, 1 ≤ bits ≤ 32; their number s is known to the decoder.

    log2 min(s, 2^b) + log2 C(2^b, k) + log2 C(s−1, k−1) + log2 (s! / Π c_j!) bits: k; the codebook, a set of k patterns
    in ascending order; the histogram c_1 … c_k ≥ 1, a set of k − 1 places to cut s; which value has which label. The
    first three are rounded to a neighbouring integer; k ≤ 2^22. Labels of at most 8192 values are drawn without
    replacement, less than 2 bits over; more of them are coded by the histogram as fixed probabilities, s H(c/s) bits,
    which is about ½ Σ log2 2πc_j − ½ log2 2πs more, plus the padding of `theory.codes.ans.encode`.

    Patterns are integers [size] in [0, 2^bits); decoded ones are of the smallest unsigned type that holds them.
    """

    bits: int
    size: int

    def __post_init__(self) -> None:
        _check_parameters(self.bits, 32, self.size)

    def ideal(self, x: np.ndarray) -> float:
        """The formula above, in bits."""
        codebook, _, counts = self._split(x)
        if not self.size:
            return 0.0
        k = len(codebook)
        book = math.log2(self._most_shared) + log2_binomial(1 << self.bits, k)
        nats = gammaln(self.size + 1) - gammaln(counts + 1).sum()
        return book + log2_binomial(self.size - 1, k - 1) + float(nats) / math.log(2)

    def encode(self, x: np.ndarray) -> Bits:
        codebook, labels, counts = self._split(x)
        if not self.size:
            return Bits()
        k = len(codebook)
        if k > _MOST_SHARED:
            raise ValueError(f"at most {_MOST_SHARED} distinct values can be shared, got {k}: use OwnValues")
        cuts = np.cumsum(counts[:-1]) - 1
        parts = (
            Uniform(self._most_shared).encode(k - 1),
            subset_code(1 << self.bits, k).encode(codebook),
            subset_code(self.size - 1, k - 1).encode(cuts),
            _encode_labels(labels, counts),
        )
        return Bits.join(parts)

    def decode(self, bits: Bits) -> tuple[np.ndarray, Bits]:
        if not self.size:
            return np.empty(0, pattern_type(self.bits)), bits
        less, bits = Uniform(self._most_shared).decode(bits)
        codebook, bits = subset_code(1 << self.bits, less + 1).decode(bits)
        cuts, bits = subset_code(self.size - 1, less).decode(bits)
        counts = np.diff(np.concatenate(([0], cuts + 1, [self.size])))
        labels, rest = _decode_labels(bits, counts)
        return codebook.astype(pattern_type(self.bits))[labels], rest

    @property
    def _most_shared(self) -> int:
        return min(self.size, 1 << self.bits, _MOST_SHARED)

    def _split(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(codebook [k], labels [size], counts [k]), all int64."""
        _check_size(x, self.size)
        if self.size and not 0 <= x.min() <= x.max() < 1 << self.bits:
            raise ValueError(f"patterns must lie in [0, 2^{self.bits}), got {x.min()} … {x.max()}")
        ordered = np.sort(x).astype(np.int64)
        firsts = np.flatnonzero(np.diff(ordered, prepend=-1))
        codebook = ordered[firsts]
        return codebook, np.searchsorted(codebook, x), np.diff(firsts, append=self.size)


def _encode_labels(labels: np.ndarray, counts: np.ndarray) -> Bits:
    if len(counts) == 1:
        return Bits()
    if len(labels) > _EXACT_SIZE:
        return ans.encode(labels, ans.frequencies_of(counts), ans.entropy_bits(counts))
    coder, left = ArithmeticEncoder(len(labels)), counts.copy()
    for remaining, label in zip(range(len(labels), 0, -1), labels.tolist(), strict=True):
        coder.encode(int(left[:label].sum()), int(left[label]), remaining)
        left[label] -= 1
    return coder.finish()


def _decode_labels(bits: Bits, counts: np.ndarray) -> tuple[np.ndarray, Bits]:
    size = int(counts.sum())
    if len(counts) == 1:
        return np.zeros(size, np.int64), bits
    if size > _EXACT_SIZE:
        decoder = ans.AnsDecoder(bits, ans.frequencies_of(counts), ans.entropy_bits(counts))
        labels = decoder.decode(size)
        if not np.array_equal(np.bincount(labels, minlength=len(counts)), counts):
            raise ValueError("the labels of the code do not have its histogram")
        return labels, decoder.finish()
    coder, left, labels = ArithmeticDecoder(bits, size), counts.copy(), np.empty(size, np.int64)
    for i in range(size):
        ends = np.cumsum(left)
        label = int(np.searchsorted(ends, coder.target(size - i), side="right"))
        coder.advance(int(ends[label] - left[label]), int(left[label]))
        labels[i] = label
        left[label] -= 1
    return labels, coder.finish()


def _check_parameters(bits: int, most: int, size: int) -> None:
    if not 1 <= bits <= most or not 0 <= size <= 1 << 32:
        raise ValueError(f"bits must lie in [1, {most}] and size in [0, 2^32], got {bits} and {size}")


def _check_size(x: np.ndarray, size: int) -> None:
    if x.shape != (size,) or x.dtype.kind not in "iu":
        raise ValueError(f"patterns must be integers of shape ({size},), got {x.dtype} of shape {x.shape}")
