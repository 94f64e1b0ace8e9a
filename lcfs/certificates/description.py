"""Nets as bits and back: the architecture word, then the arrays in a language of `theory.languages`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from lcfs.certificates.predictors import Predictor
from theory import languages
from theory.codes import Bits
from theory.languages import Entry
from theory.operators import Convolution


@dataclass(frozen=True)
class Encoded:
    """A net as bits: the language they are in, what they were spent on, and the length in bits in every language."""

    bits: Bits
    language: str
    ledger: tuple[Entry, ...]
    language_bits: dict[str, float]


@dataclass(frozen=True)
class Decoded:
    """What bits stand for: a net in float64 and evaluation mode, how it sees images, and what the bits went for."""

    predictor: Predictor
    arrays: dict[str, np.ndarray]
    net: nn.Module
    language: str
    ledger: tuple[Entry, ...]

    @property
    def image(self) -> tuple[int, int, int]:
        """(channels, height, width) that the net takes."""
        return self.predictor.image

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.predictor.classes

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 `[b, c, h, w]` → what the net sees."""
        return self.predictor.inputs(images)


def encode(
    predictor: Predictor, arrays: Mapping[str, np.ndarray], structures: Mapping[str, Convolution] | None = None
) -> Encoded:
    """A net in the shortest language.

    Args:
        predictor: everything but the arrays.
        arrays: by name, of the shapes of `predictor.layout()`.
        structures: convolutions that an array might be the embedding of, by name; tried, not trusted.
    """
    word = predictor.word()
    found = languages.describe({name: arrays[name] for name in predictor.layout()}, structures)
    ledger = (Entry("", "architecture word", len(word)), *found.ledger)
    in_all = {name: len(word) + length for name, length in found.lengths.items()}
    return Encoded(word + found.bits, found.language, ledger, in_all)


def decode(bits: Bits) -> Decoded:
    """The net that bits stand for. Raises ValueError if they stand for none, or if some are left over."""
    predictor, rest = Predictor.parse(bits)
    word = Entry("", "architecture word", len(bits) - len(rest))
    arrays, found, rest = languages.decode(rest, predictor.layout())
    if len(rest):
        raise ValueError(f"{len(rest)} bits are left over behind the net")
    return Decoded(predictor, arrays, predictor.net(arrays), found.language, (word, *found.ledger))
