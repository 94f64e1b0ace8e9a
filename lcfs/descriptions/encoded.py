"""Nets as bits and back: the kind of net, its architecture word, then its arrays in a language."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from lcfs.descriptions import quantized_language
from lcfs.descriptions.float_nets import Predictor
from lcfs.descriptions.quantized_nets import QuantizedPredictor
from lcfs.nets.convolutions import structures_of
from theory import languages
from theory.codes import Bits, Uniform
from theory.languages import Entry
from theory.operators import Convolution

KINDS = (Predictor, QuantizedPredictor)
"""What a description can describe: nets of `lcfs.build`, and quantized nets; the first bit says which."""


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

    predictor: Predictor | QuantizedPredictor
    arrays: dict[str, np.ndarray]
    net: nn.Module
    language: str
    ledger: tuple[Entry, ...]

    @property
    def image(self) -> tuple[int, ...]:
        """(channels, height, width) that the net takes."""
        return self.predictor.image

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.predictor.classes

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 `[b, c, h, w]` → what the net sees."""
        return self.predictor.inputs(images)

    def language_bits(self) -> dict[str, float]:
        """Length of the net in bits in every language."""
        return encode(self.predictor, self.arrays, likely_structures(self.predictor)).language_bits


def encode(
    predictor: Predictor | QuantizedPredictor,
    arrays: Mapping[str, np.ndarray],
    structures: Mapping[str, Convolution] | None = None,
) -> Encoded:
    """A net in the shortest language of its kind.

    Args:
        predictor: everything but the arrays.
        arrays: by name, of the shapes of `predictor.layout()`; integers for a quantized net.
        structures: convolutions that an array might be the embedding of, by name; tried, not trusted.
    """
    word = Uniform(len(KINDS)).encode(KINDS.index(type(predictor))) + predictor.word()
    if isinstance(predictor, QuantizedPredictor):
        found = quantized_language.describe(arrays, predictor.layout())
    else:
        found = languages.describe({name: arrays[name] for name in predictor.layout()}, structures)
    ledger = (Entry("", "architecture word", len(word)), *found.ledger)
    in_all = {name: len(word) + length for name, length in found.lengths.items()}
    return Encoded(word + found.bits, found.language, ledger, in_all)


def decode(bits: Bits) -> Decoded:
    """The net that bits stand for. Raises ValueError if they stand for none, or if some are left over."""
    kind, rest = Uniform(len(KINDS)).decode(bits)
    predictor, rest = KINDS[kind].parse(rest)
    word = Entry("", "architecture word", len(bits) - len(rest))
    if isinstance(predictor, QuantizedPredictor):
        arrays, found, rest = quantized_language.decode(rest, predictor.layout())
    else:
        arrays, found, rest = languages.decode(rest, predictor.layout())
    if len(rest):
        raise ValueError(f"{len(rest)} bits are left over behind the net")
    return Decoded(predictor, arrays, predictor.net(arrays), found.language, (word, *found.ledger))


def likely_structures(predictor: Predictor | QuantizedPredictor) -> dict[str, Convolution]:
    """The convolutions that arrays of this net might be the embedding of."""
    if isinstance(predictor, QuantizedPredictor):
        return {}
    return structures_of(predictor.architecture, predictor.base_channels, predictor.image)
