"""The one interface of everything that a description can describe: predictors, whatever kind of net they are."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn

from lcfs.descriptions.balls import Ball
from theory.codes import Bits
from theory.languages import Description, Found


@runtime_checkable
class Predictor(Protocol):
    """A net without its arrays: all that a decoder needs beside them, as a word in bits.

    To add a kind of net, write such a class and append it to `lcfs.descriptions.encoded.KINDS`.
    """

    @property
    def image(self) -> tuple[int, ...]:
        """(channels, *grid) of the images that the net takes."""
        ...

    @property
    def classes(self) -> int:
        """Number of logits."""
        ...

    def weights(self) -> int:
        """Number of entries of all arrays. Raises ValueError as `layout`."""
        ...

    def word(self) -> Bits:
        """The architecture word: self-delimiting, the only codeword of this predictor."""
        ...

    @classmethod
    def parse(cls, bits: Bits) -> tuple["Predictor", Bits]:
        """(the predictor, the bits behind its word). Raises ValueError for bits that are no word of a net."""
        ...

    def layout(self) -> Mapping[str, Any]:
        """Names of the arrays in the order in which they are described, each with its shape or specification.

        Raises: ValueError for a word that names an impossible net, or one too large to be described.
        """
        ...

    def operations(self) -> int:
        """Multiplications of an image's logits. Raises ValueError as `layout`."""
        ...

    def encode(self, arrays: Mapping[str, np.ndarray]) -> Description:
        """The arrays in the shortest language of this kind of net."""
        ...

    def decode(self, bits: Bits) -> tuple[dict[str, np.ndarray], Found, Bits]:
        """(arrays, language and ledger, what follows). Raises ValueError where bits describe no arrays of this net."""
        ...

    def net(self, arrays: Mapping[str, np.ndarray]) -> nn.Module:
        """The net with these arrays in evaluation mode and float64."""
        ...

    def inputs(self, images: Tensor) -> Tensor:
        """Images `[b, c, *grid]` of a data set → what the net sees."""
        ...

    def logits(self, net: nn.Module) -> Callable[[Tensor], Ball]:
        """The function from images `[b, c, *grid]` to logits `[b, classes]` of such a net in float64, computed with
        bounds on all rounding."""
        ...
