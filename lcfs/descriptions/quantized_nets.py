"""The architecture word of a quantized net: everything of it but its integers.

The code is fixed by this file. The word is part of the description, so the choice of an architecture by looking at the
data is paid for by its bits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lcfs.descriptions import quantized_language, quantized_logits
from lcfs.descriptions.balls import Ball
from lcfs.errors import InputError
from lcfs.nets.quantized import Architecture, QuantizedNet, QuantizedTensor, from_integers
from theory.codes import Bits, EliasDelta
from theory.languages import Description, Found

_LARGEST = 1 << 20  # weights; a few bits can stand for a long tensor of one level, and each takes microseconds to read
_DELTA = EliasDelta()


@dataclass(frozen=True)
class QuantizedPredictor:
    """A net of `lcfs.nets.quantized` without its integers; it sees images as they are, uint8."""

    architecture: Architecture
    image: tuple[int, ...]
    classes: int

    def word(self) -> Bits:
        """The architecture word in Elias δ: self-delimiting, some 80 bits."""
        a = self.architecture
        numbers = [*self.image, self.classes, a.channels, (a.kernel_size + 1) // 2, 1 + a.symmetric]
        numbers += [a.levels, a.head_levels, len(a.stages)]
        numbers += chain.from_iterable((1 + len(stage), *(1 + block for block in stage)) for stage in a.stages)
        return Bits.join(_DELTA.encode(number) for number in numbers)

    @classmethod
    def parse(cls, bits: Bits) -> tuple["QuantizedPredictor", Bits]:
        """(the predictor, the bits behind its word). Raises ValueError for bits that are no word of a net."""
        numbers, bits = _numbers(bits, 10)
        channels, height, width, classes, wide, half, symmetric, levels, head_levels, depth = numbers
        if symmetric > 2:
            raise ValueError("the architecture word is neither of a symmetric nor of another net")
        stages = []
        for _ in range(_promised(depth, bits)):
            (size,), bits = _numbers(bits, 1)
            blocks, bits = _numbers(bits, _promised(size - 1, bits))
            stages.append(tuple(block - 1 for block in blocks))
        image = (channels, height, width)
        try:
            architecture = Architecture(wide, tuple(stages), 2 * half - 1, symmetric == 2, levels, head_levels)
            architecture.check_image(image)
        except InputError as error:
            raise ValueError(f"the architecture word describes no net: {error}") from error
        return cls(architecture, image, classes), bits

    def layout(self) -> dict[str, QuantizedTensor]:
        """The integer tensors in the order in which they are described. Raises ValueError for more than 2²⁰ weights."""
        tensors = self.architecture.tensors(self.image[0], self.classes)
        if sum(math.prod(tensor.shape) for tensor in tensors.values()) > _LARGEST:
            raise ValueError(f"the architecture word describes a net of more than {_LARGEST:,} weights")
        return tensors

    def weights(self) -> int:
        """Number of entries of all tensors. Raises ValueError as `layout`."""
        return sum(math.prod(tensor.shape) for tensor in self.layout().values())

    def operations(self) -> int:
        """Multiplications of an image's logits. Raises ValueError as `layout`."""
        self.layout()
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            QuantizedNet(self.architecture, self.image[0], self.classes).eval()(
                torch.empty(1, *self.image, dtype=torch.uint8)
            )
        return counter.get_total_flops() // 2

    def encode(self, arrays: Mapping[str, np.ndarray]) -> Description:
        """The integer tensors in the language of quantized nets."""
        return quantized_language.describe(arrays, self.layout())

    def decode(self, bits: Bits) -> tuple[dict[str, np.ndarray], Found, Bits]:
        """(int8 tensors, language and ledger, what follows). Raises ValueError where bits describe none of this net."""
        return quantized_language.decode(bits, self.layout())

    def net(self, arrays: Mapping[str, np.ndarray]) -> QuantizedNet:
        """The net with these integers (shapes of `layout`) in evaluation mode and float64."""
        return from_integers(self.architecture, arrays, image_channels=self.image[0], classes=self.classes).double()

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 `[b, c, h, w]`: the front end is part of the net."""
        return images

    def logits(self, net: nn.Module) -> Callable[[Tensor], Ball]:
        """The function from uint8 `[b, c, h, w]` to logits `[b, classes]`, with bounds on all rounding."""
        assert isinstance(net, QuantizedNet)
        return quantized_logits.logits(net)


def _numbers(bits: Bits, count: int) -> tuple[list[int], Bits]:
    numbers = []
    for _ in range(count):
        number, bits = _DELTA.decode(bits)
        numbers.append(number)
    return numbers, bits


def _promised(count: int, bits: Bits) -> int:
    """count, of which each takes at least a bit."""
    if count > len(bits):
        raise ValueError(f"the architecture word promises {count} numbers and only {len(bits)} bits follow")
    return count
