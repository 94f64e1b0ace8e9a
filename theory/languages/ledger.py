"""Writing and reading codewords one after the other, with a bill of what each cost."""

from dataclasses import dataclass
from typing import TypeVar

from theory.codes import Bits
from theory.codes.code import Code

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One billed item: which array it belongs to ("" for the whole net), what it says, and its length in bits."""

    array: str
    item: str
    bits: int


class Writer:
    """Codewords in order; `ledger` bills them."""

    def __init__(self) -> None:
        self._words: list[Bits] = []
        self.ledger: list[Entry] = []

    def write(self, code: Code[T], x: T, array: str, item: str) -> None:
        """Append the codeword of x."""
        word = code.encode(x)
        self._words.append(word)
        self.ledger.append(Entry(array, item, len(word)))

    def bits(self) -> Bits:
        """All that was written."""
        return Bits.join(self._words)


class Reader:
    """The inverse of `Writer`; raises ValueError where the bits are no codeword."""

    def __init__(self, bits: Bits) -> None:
        self.rest = bits
        self.ledger: list[Entry] = []

    def read(self, code: Code[T], array: str, item: str) -> T:
        """The next object."""
        before = len(self.rest)
        x, self.rest = code.decode(self.rest)
        self.ledger.append(Entry(array, item, before - len(self.rest)))
        return x
