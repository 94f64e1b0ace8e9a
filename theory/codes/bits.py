"""Immutable bit strings whose slices share memory, so that a decoder hands on the rest of its input at no cost."""

from collections.abc import Iterable, Iterator
from typing import overload

import numpy as np

_BULK_BYTES = 512  # from here on numpy shifts faster than Python's integers


class Bits:
    """A string of bits: bits start … stop − 1 of some bytes, the most significant bit of a byte first.

    Slices are O(1) and share the bytes; everything else is linear in the length.

    >>> Bits("0101") + Bits("1")
    Bits('01011')
    >>> Bits("0101")[1:].to_int()
    5
    """

    __slots__ = ("_data", "_start", "_stop")

    _data: bytes
    _start: int
    _stop: int

    def __init__(self, text: str = "") -> None:
        """Args: text, of the characters 0 and 1. Raises ValueError on any other."""
        if text.strip("01"):
            raise ValueError(f"a bit string is written in 0 and 1, got {text[:40]!r}")
        width = -(-len(text) // 8)
        self._set(int(text.ljust(8 * width, "0") or "0", 2).to_bytes(width, "big"), 0, len(text))

    def _set(self, data: bytes, start: int, stop: int) -> None:
        for name, value in (("_data", data), ("_start", start), ("_stop", stop)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Bits are immutable: {name} cannot be set")

    def __reduce__(self) -> tuple:
        return Bits.from_bytes, (self.to_bytes(), len(self))

    @classmethod
    def from_bytes(cls, data: bytes, length: int | None = None) -> "Bits":
        """The first `length` bits of data; all of them by default. Raises ValueError if data holds fewer."""
        length = 8 * len(data) if length is None else length
        if not 0 <= length <= 8 * len(data):
            raise ValueError(f"length must lie in [0, {8 * len(data)}], the bits that data holds, got {length}")
        return cls._view(data, 0, length)

    @classmethod
    def from_int(cls, value: int, width: int) -> "Bits":
        """Binary representation of a value in [0, 2^width), padded with zeros on the left to `width` bits."""
        if not 0 <= value < 1 << width:
            raise ValueError(f"value must lie in [0, 2^{width})")
        data = (value << -width % 8).to_bytes(-(-width // 8), "big")
        return cls._view(data, 0, width)

    @classmethod
    def join(cls, parts: "Iterable[Bits]") -> "Bits":
        """Concatenation, in time linear in the total length."""
        parts = list(parts)
        length = sum(map(len, parts))
        data, position = bytearray(-(-length // 8)), 0
        for part in parts:
            if part:
                first, chunk = position // 8, part._shifted(position % 8)
                data[first] |= chunk[0]
                data[first + 1 : first + len(chunk)] = chunk[1:]
                position += len(part)
        return cls._view(bytes(data), 0, length)

    @classmethod
    def _view(cls, data: bytes, start: int, stop: int) -> "Bits":
        bits = cls.__new__(cls)
        bits._set(data, start, stop)
        return bits

    def to_bytes(self) -> bytes:
        """The bits from the first byte's top bit on, padded with zeros to whole bytes."""
        return self._shifted(0)

    def to_int(self) -> int:
        """The bits as a binary number; 0 if there are none."""
        last = -(-self._stop // 8)
        value = int.from_bytes(self._data[self._start // 8 : last], "big") >> (8 * last - self._stop)
        return value & ((1 << len(self)) - 1)

    def take(self, count: int) -> "tuple[Bits, Bits]":
        """First `count` bits, and the rest. Raises ValueError if there are fewer."""
        if count > len(self):
            raise ValueError(f"the code is truncated: {count} more bits were expected, {len(self)} are left")
        return self[:count], self[count:]

    def leading_zeros(self) -> int:
        """Number of zeros before the first one; the length if there is no one."""
        counted, width = 0, 64
        while counted < len(self):
            window = self[counted : counted + width]
            if value := window.to_int():
                return counted + len(window) - value.bit_length()
            counted, width = counted + len(window), 2 * width
        return counted

    def __len__(self) -> int:
        return self._stop - self._start

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> "Bits": ...

    def __getitem__(self, index: "int | slice") -> "int | Bits":
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError(f"slices of Bits are contiguous, got the step {step}")
            return self._view(self._data, self._start + start, self._start + max(start, stop))
        position = range(self._start, self._stop)[index]
        return self._data[position // 8] >> (7 - position % 8) & 1

    def __iter__(self) -> Iterator[int]:
        return iter(np.unpackbits(np.frombuffer(self.to_bytes(), np.uint8), count=len(self)).tolist())

    def __add__(self, other: "Bits") -> "Bits":
        return Bits.join((self, other))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bits):
            return NotImplemented
        return len(self) == len(other) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash((len(self), self.to_bytes()))

    def __str__(self) -> str:
        return f"{self.to_int():0{len(self)}b}" if self else ""

    def __repr__(self) -> str:
        return f"Bits({str(self)!r})" if len(self) <= 64 else f"<Bits {self[:64]}… of length {len(self)}>"

    def _shifted(self, offset: int) -> bytes:
        """`offset` (0 … 7) zeros, then the bits, then zeros up to a whole byte."""
        size = -(-(offset + len(self)) // 8)
        if size < _BULK_BYTES:
            return (self.to_int() << (8 * size - offset - len(self))).to_bytes(size, "big")
        skipped, last = self._start % 8, -(-self._stop // 8)
        source = np.frombuffer(self._data, np.uint8)[self._start // 8 : last].copy()
        source[0] &= 0xFF >> skipped
        source[-1] &= 0xFF << (8 * last - self._stop) & 0xFF
        if offset < skipped:  # to the left by skipped − offset = one byte less a shift to the right
            source = _shifted_right(source, 8 + offset - skipped)[1:]
        elif offset > skipped:
            source = _shifted_right(source, offset - skipped)
        return source[:size].tobytes()


def _shifted_right(source: np.ndarray, shift: int) -> np.ndarray:
    """source [bytes], uint8, as one number times 2^(8 − shift), in one byte more; shift in 1 … 7."""
    shifted = np.zeros(len(source) + 1, np.uint8)
    np.right_shift(source, shift, out=shifted[:-1])
    shifted[1:] |= source << np.uint8(8 - shift)
    return shifted
