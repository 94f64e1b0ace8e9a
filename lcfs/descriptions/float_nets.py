"""The architecture word: which predictor a description's arrays belong to, everything of it that is not an array.

The code is fixed by this file, before any data: a certificate's bits begin with the word of a `FloatPredictor`, and
the decoder builds the net from the word and the arrays that follow. Normalization constants come from the data, so they
are in the word and paid for; so is the seed of a pixel permutation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lcfs import data
from lcfs.descriptions import float_logits
from lcfs.descriptions.balls import Ball
from lcfs.errors import InputError
from lcfs.nets.architectures import ARCHITECTURES, build
from lcfs.nets.convolutions import structures_of
from lcfs.nets.folding import fold_batchnorm
from theory import languages
from theory.codes import Bits, EliasDelta, Uniform
from theory.languages import Description, Found

_UNIT = 10_000  # normalization constants are written in ten-thousandths
_LARGEST = 1 << 29  # weights; a forged word must not fill the memory
_DELTA = EliasDelta()
_RESNET = "resnet18"


def ten_thousandths(constants: Sequence[float]) -> tuple[int, ...]:
    """Normalization constants as the integers in which they are written."""
    return tuple(round(_UNIT * constant) for constant in constants)


@dataclass(frozen=True)
class FloatPredictor:
    """A net of `lcfs.build` with BatchNorm folded away, the normalization of its input, and its permutation of pixels.

    `mean` and `std` per channel, of pixels in [0, 1], in ten-thousandths, 0…9999 and 1…10000; `permutation_seed` ≥ 0
    chooses the fixed permutation of all pixels as `lcfs train --permute-pixels` does, None is none.
    """

    architecture: str
    base_channels: int
    kernel_size: int
    image: tuple[int, ...]
    classes: int
    mean: tuple[int, ...]
    std: tuple[int, ...]
    permutation_seed: int | None = None

    def word(self) -> Bits:
        """The architecture word: self-delimiting, some 100 bits for three channels."""
        # The kernels of chains are fixed, so there the second number says how many axes the grid has: 2, of signals 1.
        second = (self.kernel_size + 1) // 2 if self.architecture == _RESNET else len(self.image) - 1
        numbers = [self.base_channels, second, *self.image, self.classes]
        parts = [Uniform(len(ARCHITECTURES)).encode(ARCHITECTURES.index(self.architecture))]
        parts += [_DELTA.encode(number) for number in numbers]
        parts += [Uniform(_UNIT).encode(number) for number in self.mean]
        parts += [Uniform(_UNIT).encode(number - 1) for number in self.std]
        parts.append(_DELTA.encode(1 if self.permutation_seed is None else self.permutation_seed + 2))
        return Bits.join(parts)

    @classmethod
    def parse(cls, bits: Bits) -> tuple["FloatPredictor", Bits]:
        """(the predictor, the bits behind its word). Raises ValueError for bits that are no word of a net."""
        index, bits = Uniform(len(ARCHITECTURES)).decode(bits)
        base_channels, bits = _DELTA.decode(bits)
        second, bits = _DELTA.decode(bits)
        resnet = ARCHITECTURES[index] == _RESNET
        kernel_size, axes = (2 * second - 1, 2) if resnet else (3, second)
        if axes > 2:
            raise ValueError(f"the word promises a grid of {axes} axes, and nets take one or two")
        numbers = []
        for _ in range(axes + 2):
            number, bits = _DELTA.decode(bits)
            numbers.append(number)
        channels, *grid, classes = numbers
        if channels > len(bits):
            raise ValueError(f"the word promises {channels} channels and only {len(bits)} bits follow")
        constants = []
        for _ in range(2 * channels):
            constant, bits = Uniform(_UNIT).decode(bits)
            constants.append(constant)
        seed, bits = _DELTA.decode(bits)
        mean, std = tuple(constants[:channels]), tuple(constant + 1 for constant in constants[channels:])
        image, permutation_seed = (channels, *grid), None if seed == 1 else seed - 2
        return cls(ARCHITECTURES[index], base_channels, kernel_size, image, classes, mean, std, permutation_seed), bits

    def layout(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the arrays in the order in which they are described.

        Raises: ValueError for a net that `lcfs.build` does not build, or of more than 2²⁹ weights.
        """
        try:
            with torch.device("meta"):
                shapes = {name: tuple(t.shape) for name, t in self._net().state_dict().items()}
        except (InputError, RuntimeError) as error:
            raise ValueError(f"the architecture word describes no net: {error}") from error
        if sum(np.prod(shape, dtype=object) for shape in shapes.values()) > _LARGEST:
            raise ValueError(f"the architecture word describes a net of more than {_LARGEST:,} weights")
        return shapes

    def weights(self) -> int:
        """Number of entries of all arrays. Raises ValueError as `layout`."""
        return sum(int(np.prod(shape, dtype=object)) for shape in self.layout().values())

    def operations(self) -> int:
        """Multiplications of an image's logits. Raises ValueError as `layout`."""
        self.layout()
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            self._net()(torch.empty(1, *self.image))
        return counter.get_total_flops() // 2

    def encode(self, arrays: Mapping[str, np.ndarray]) -> Description:
        """The arrays in the shortest of `theory.languages`; matrices of S-FC and D-FC are tried as convolutions."""
        structures = structures_of(self.architecture, self.base_channels, self.image)
        return languages.describe({name: arrays[name] for name in self.layout()}, structures)

    def decode(self, bits: Bits) -> tuple[dict[str, np.ndarray], Found, Bits]:
        """(arrays, language and ledger, what follows). Raises ValueError where bits describe no arrays of this net."""
        return languages.decode(bits, self.layout())

    def net(self, arrays: Mapping[str, np.ndarray]) -> nn.Module:
        """The net with these arrays (shapes of `layout`) in evaluation mode and float64."""
        with torch.device("meta"):
            net = self._net()
        state = {name: torch.from_numpy(np.asarray(array, dtype=np.float64)) for name, array in arrays.items()}
        net.load_state_dict(state, assign=True)
        return net.eval().requires_grad_(False)

    def inputs(self, images: Tensor) -> Tensor:
        """Bytes or floats `[b, c, *grid]` → what the net sees, float64; bytes are taken for fractions of 255."""
        shape, whole = (1, -1, *[1] * (images.ndim - 2)), _whole(images)
        mean = torch.tensor(self.mean, dtype=torch.float64, device=images.device).view(shape)
        std = torch.tensor(self.std, dtype=torch.float64, device=images.device).view(shape)
        x = (images.double() * _UNIT - whole * mean) / (whole * std)  # of bytes, only the quotient is rounded
        if self.permutation_seed is None:
            return x
        order = data.pixel_permutation(self.permutation_seed, self.image).to(images.device)
        return x.flatten(2)[..., order].view_as(x)

    def logits(self, net: nn.Module) -> Callable[[Tensor], Ball]:
        """The function from bytes or floats `[b, c, *grid]` to logits `[b, classes]`, with bounds on all rounding."""
        behind = float_logits.logits(net)

        def function(images: Tensor) -> Ball:
            x, whole = self.inputs(images), _whole(images)
            entries = (images.double().abs() * _UNIT).flatten(1)
            largest = torch.linalg.vector_norm(
                entries + whole * max(self.mean), dim=1
            )  # ≥ both sides of the difference
            return behind(Ball(x, largest * (2.0**-50 / (whole * min(self.std)))))

        return function

    def _net(self) -> nn.Module:
        return fold_batchnorm(
            build(
                self.architecture,
                base_channels=self.base_channels,
                image=self.image,
                classes=self.classes,
                kernel_size=self.kernel_size,
            )
        )


def _whole(images: Tensor) -> int:
    """What stands for 1: 255 in bytes."""
    return 1 if images.is_floating_point() else 255
