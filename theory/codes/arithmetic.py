"""Arithmetic coding in exact integers: symbols of integer frequencies to bits and back, the same on every machine.

The coder narrows [0, 1) to the interval of the symbols so far and keeps it as 2^−T [low, low + range) / 2^w with
2^(w−1) < range ≤ 2^w. A codeword is the shortest string all of whose continuations lie in the interval: T to T + 2
bits. So the code is prefix-free among messages that end at the same time, as those of a known number of symbols do, and
longer than Σ log2(total / frequency) by less than 2 bits + n 2^(2−g), g = w − (bits of the largest total) ≥ 32.
Source: Martin 1979 (range coding); Witten, Neal and Cleary 1987.
"""

from bisect import bisect_right
from collections.abc import Sequence

from theory.codes.bits import Bits

_GUARD = 32  # bits of the range beyond those of the largest total
_BLOCK = 1024  # bits moved at once between the coder's window and the bit string


class ArithmeticEncoder:
    """Writer of an arithmetic codeword, symbol by symbol; no `total` exceeds `largest_total`."""

    def __init__(self, largest_total: int = 1 << 32) -> None:
        self._width = _window(largest_total)
        self._low, self._range = 0, 1 << self._width
        self._pending = 0  # settled bits that still stand above the window in `_low`, with the carry above them
        self._blocks: list[tuple[int, int]] = []  # (value, number of bits)

    def encode(self, cumulative: int, frequency: int, total: int) -> None:
        """Append a symbol: cumulative is the sum of the frequencies before it, total that of all.

        Raises ValueError unless 0 ≤ cumulative, 1 ≤ frequency and cumulative + frequency ≤ total ≤ largest_total.
        """
        if not 0 <= cumulative < cumulative + frequency <= total < 1 << self._width - _GUARD:
            raise ValueError(f"frequencies {cumulative}, {frequency} of {total} are none of this coder's")
        unit = self._range // total
        self._low += unit * cumulative
        self._range = unit * frequency
        shift = self._width - (self._range - 1).bit_length()
        if shift:
            self._low <<= shift
            self._range <<= shift
            self._pending += shift
            if self._pending >= _BLOCK:
                self._settle()

    def finish(self) -> Bits:
        """The codeword of the symbols so far."""
        self._settle()
        count, word = _last_bits(self._low, self._range, self._width)
        self._low, self._pending = word << self._width, count
        self._settle()
        return Bits.join(Bits.from_int(value, size) for value, size in self._blocks)

    def _settle(self) -> None:
        """Moves the settled bits out of the window; a carry goes on into the blocks before."""
        settled, self._low = self._low >> self._width, self._low & (1 << self._width) - 1
        carry, settled = settled >> self._pending, settled & (1 << self._pending) - 1
        for i in range(len(self._blocks) - 1, -1, -1):
            if not carry:
                break
            value, size = self._blocks[i]
            carry = value + 1 >> size
            self._blocks[i] = (value + 1 - (carry << size), size)
        self._blocks.append((settled, self._pending))
        self._pending = 0


class ArithmeticDecoder:
    """Reader of what an `ArithmeticEncoder` of the same `largest_total` wrote at the start of `bits`."""

    def __init__(self, bits: Bits, largest_total: int = 1 << 32) -> None:
        self._bits = bits
        self._width = _window(largest_total)
        self._low, self._range = 0, 1 << self._width  # _low modulo 2^width
        self._read, self._buffer, self._buffered = 0, 0, 0
        self._consumed = 0  # T
        self._offset = self._next(self._width)  # what was read, minus _low
        self._unit = 1

    def decode(self, cumulative: Sequence[int]) -> int:
        """The symbol; cumulative [symbols + 1] = 0, …, total are the sums of the frequencies before each.

        Raises ValueError if bits are no codeword or end before it does.
        """
        symbol = bisect_right(cumulative, self.target(cumulative[-1])) - 1
        self.advance(cumulative[symbol], cumulative[symbol + 1] - cumulative[symbol])
        return symbol

    def target(self, total: int) -> int:
        """A number in the symbol's [cumulative, cumulative + frequency), to be followed by `advance` with these."""
        if not 1 <= total < 1 << self._width - _GUARD:
            raise ValueError(f"the total {total} is none of this coder's")
        self._unit = self._range // total
        target = self._offset // self._unit
        if target >= total:
            raise ValueError("the bits are no arithmetic codeword: they point between two symbols")
        return target

    def advance(self, cumulative: int, frequency: int) -> None:
        """Go on to the next symbol."""
        self._offset -= self._unit * cumulative
        self._low += self._unit * cumulative
        self._range = self._unit * frequency
        shift = self._width - (self._range - 1).bit_length()
        if shift:
            self._consumed += shift
            if self._consumed > len(self._bits):
                raise ValueError(f"the arithmetic code is truncated: more than its {len(self._bits)} bits are needed")
            self._offset = self._offset << shift | self._next(shift)
            self._low = (self._low << shift) & (1 << self._width) - 1
            self._range <<= shift

    def finish(self) -> Bits:
        """What follows the codeword. Raises ValueError if the encoder would have ended it with other bits."""
        count, word = _last_bits(self._low, self._range, self._width)
        _, rest = self._bits.take(self._consumed + count)
        if self._low + self._offset >> self._width - count != word:
            raise ValueError("the bits are no arithmetic codeword: they end in other bits than the encoder's")
        return rest

    def _next(self, count: int) -> int:
        """The next bits of the input, with zeros behind its end."""
        while self._buffered < count:
            block = self._bits[self._read : self._read + _BLOCK]
            self._buffer = self._buffer << _BLOCK | block.to_int() << _BLOCK - len(block)
            self._read += _BLOCK
            self._buffered += _BLOCK
        self._buffered -= count
        value = self._buffer >> self._buffered
        self._buffer -= value << self._buffered
        return value


def _window(largest_total: int) -> int:
    return largest_total.bit_length() + _GUARD


def _last_bits(low: int, span: int, width: int) -> tuple[int, int]:
    """(count, word): the shortest word, 0 to 2 bits, with [word, word + 1) 2^(width − count) in [low, low + span)."""
    for count in range(3):
        step = 1 << width - count
        word = -(-low // step)
        if (word + 1) * step <= low + span:
            return count, word
    raise AssertionError(f"the range {span} is not above 2^{width - 1}")
