"""The code of the paper's Theorem 2, as printed: it pays for an order of the non-zeros that it does not need."""

from dataclasses import dataclass

import numpy as np

from theory.codes.bits import Bits
from theory.codes.code import Code
from theory.codes.packing import pack, unpack
from theory.codes.subsets import check_positions


@dataclass(frozen=True, eq=False)
class LabelMap:
    """The map g from n weights to labels: label 1 ≤ labels[i] ≤ k at positions[i], and elsewhere "value 0".

    positions: int64 `[s]`, strictly ascending in [0, n).
    labels: integers `[s]`.
    shared_values: k in [1, n].
    """

    positions: np.ndarray
    labels: np.ndarray
    shared_values: int


@dataclass(frozen=True)
class Theorem2Map(Code[LabelMap]):
    """Code of Theorem 2 for a label map: fields of whole bits for s, k, and each index and label.

    Length: ⌈log2(n+1)⌉ + ⌈log2 n⌉ + s (⌈log2 n⌉ + ⌈log2 k⌉) bits.

    The printed length s log2(kn) + 2 log2 n, `theory.bounds.theorem2_mapping_bits`, is without the ceilings, and has no
    room for both s = 0 and s = n. So this is less than 2s + 2 bits longer. Source: paper, Theorem 2.
    """

    n: int

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 1 << 32:
            raise ValueError(f"n must lie in [1, 2^32], got {self.n}")

    def length(self, x: LabelMap) -> int:
        self._check(x)
        index, label = _width(self.n), _width(x.shared_values)
        return _width(self.n + 1) + index + len(x.positions) * (index + label)

    def ideal(self, x: LabelMap) -> float:
        """log2(n+1) + log2 n + s log2(kn) bits."""
        self._check(x)
        s, k = len(x.positions), x.shared_values
        return float(np.log2(self.n + 1) + np.log2(self.n) + s * (np.log2(k) + np.log2(self.n)))

    def encode(self, x: LabelMap) -> Bits:
        self._check(x)
        index, label = _width(self.n), _width(x.shared_values)
        fields = x.positions.astype(np.uint64) << np.uint64(label) | (x.labels - 1).astype(np.uint64)
        size = Bits.from_int(len(x.positions), _width(self.n + 1))
        return Bits.join((size, Bits.from_int(x.shared_values - 1, index), pack(fields, index + label)))

    def decode(self, bits: Bits) -> tuple[LabelMap, Bits]:
        size, bits = bits.take(_width(self.n + 1))
        less, bits = bits.take(_width(self.n))
        k = less.to_int() + 1
        index, label = _width(self.n), _width(k)
        fields, rest = unpack(bits, index + label, size.to_int())
        fields = fields.astype(np.uint64)
        positions = (fields >> np.uint64(label)).astype(np.int64)
        labels = (fields & np.uint64((1 << label) - 1)).astype(np.int64) + 1
        x = LabelMap(positions, labels, k)
        self._check(x)
        return x, rest

    def _check(self, x: LabelMap) -> None:
        check_positions(x.positions, self.n)
        if not 1 <= x.shared_values <= self.n:
            raise ValueError(f"shared_values must lie in [1, {self.n}], got {x.shared_values}")
        if x.labels.shape != x.positions.shape or x.labels.dtype.kind not in "iu":
            raise ValueError(f"labels must be as many integers as positions, got {x.labels.shape}")
        if len(x.labels) and not 1 <= x.labels.min() <= x.labels.max() <= x.shared_values:
            raise ValueError(f"labels must lie in [1, {x.shared_values}], got {x.labels.min()} … {x.labels.max()}")


def _width(n: int) -> int:
    """⌈log2 n⌉, the bits of a number below n."""
    return (n - 1).bit_length()
