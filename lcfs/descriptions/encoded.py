"""Nets as bits and back: the kind of net, its architecture word, then its arrays in a language."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from lcfs.descriptions.float_nets import FloatPredictor
from lcfs.descriptions.predictor import Predictor
from lcfs.descriptions.quantized_nets import QuantizedPredictor
from theory.codes import Bits, Uniform
from theory.languages import Entry

KINDS: tuple[type[Predictor], ...] = (FloatPredictor, QuantizedPredictor)
"""What a description can describe: nets of `lcfs.build`, and quantized nets; the first bit says which."""


@dataclass(frozen=True)
class Encoded:
    """A net as bits: the language they are in, what they were spent on, and the length in whole bits in every one."""

    bits: Bits
    language: str
    ledger: tuple[Entry, ...]
    language_bits: dict[str, int]


@dataclass(frozen=True)
class Decoded:
    """A net that bits stand for: its predictor, its arrays, the language, and what the bits were spent on."""

    predictor: Predictor
    arrays: dict[str, np.ndarray]
    language: str
    ledger: tuple[Entry, ...]

    def net(self) -> nn.Module:
        """The net in float64 and evaluation mode."""
        return self.predictor.net(self.arrays)

    def encode(self) -> Encoded:
        """The net as bits again, with its length in every language."""
        return encode(self.predictor, self.arrays)


def encode(predictor: Predictor, arrays: Mapping[str, np.ndarray]) -> Encoded:
    """A net in the shortest language of its kind.

    Args:
        predictor: everything but the arrays.
        arrays: by name, as `predictor.layout()` says.
    """
    word = Uniform(len(KINDS)).encode(KINDS.index(type(predictor))) + predictor.word()
    description = predictor.encode(arrays)
    ledger = (Entry("", "architecture word", len(word)), *description.ledger)
    language_bits = {name: len(word) + _whole(length) for name, length in description.lengths.items()}
    return Encoded(word + description.bits, description.language, ledger, language_bits)


def read_word(bits: Bits) -> tuple[Predictor, Bits]:
    """(what kind of net with which sizes, the bits of its arrays); nothing is built. Raises ValueError for no word."""
    kind, rest = Uniform(len(KINDS)).decode(bits)
    return KINDS[kind].parse(rest)


def decode(bits: Bits) -> Decoded:
    """The net that bits stand for. Raises ValueError if they stand for none, or if some are left over."""
    predictor, rest = read_word(bits)
    word = Entry("", "architecture word", len(bits) - len(rest))
    arrays, content, rest = predictor.decode(rest)
    if len(rest):
        raise ValueError(f"{len(rest)} bits are left over behind the net")
    return Decoded(predictor, arrays, content.language, (word, *content.ledger))


def _whole(bits: float) -> int:
    """A length in whole bits, rounded up but for what floating point may have added to a whole number."""
    return math.ceil(bits - 1e-6)
