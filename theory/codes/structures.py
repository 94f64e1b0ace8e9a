"""The structure word of a layer: what a decoder must know to lay out its weights, tied or not."""

from dataclasses import astuple, dataclass

from theory.codes.bits import Bits
from theory.codes.code import Code
from theory.codes.integers import EliasDelta

KINDS = ("conv", "local", "fc")


@dataclass(frozen=True)
class LayerStructure:
    """A convolution or what is like one: its weights are shared between positions (conv), local, or neither (fc).

    kernel, stride (≥ 1) and padding (≥ 0) are the same on both axes; a fully-connected layer has 1, 1 and 0.
    """

    kind: str
    channels_in: int
    channels_out: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        sizes = (self.channels_in, self.channels_out, self.kernel, self.stride, self.groups)
        if min(sizes) < 1 or self.padding < 0:
            raise ValueError(f"sizes must be at least 1 and padding at least 0, got {self}")
        if self.channels_in % self.groups or self.channels_out % self.groups:
            raise ValueError(f"groups must divide channels_in and channels_out, got {self}")


@dataclass(frozen=True)
class Structure(Code[LayerStructure]):
    """Code for a layer's structure, every field in Elias δ.

    Fields: the kind's place in KINDS + 1, channels in and out, kernel, stride, padding + 1, groups.

    >>> Structure().length(LayerStructure("conv", 3, 64, kernel=3, padding=1))
    26
    """

    def length(self, x: LayerStructure) -> int:
        return sum(EliasDelta().length(number) for number in _numbers(x))

    def encode(self, x: LayerStructure) -> Bits:
        return Bits.join(EliasDelta().encode(number) for number in _numbers(x))

    def decode(self, bits: Bits) -> tuple[LayerStructure, Bits]:
        numbers = []
        for _ in range(7):
            number, bits = EliasDelta().decode(bits)
            numbers.append(number)
        kind, channels_in, channels_out, kernel, stride, padding, groups = numbers
        if kind > len(KINDS):
            raise ValueError("the code names a kind of layer that there is not")
        return LayerStructure(KINDS[kind - 1], channels_in, channels_out, kernel, stride, padding - 1, groups), bits


def _numbers(x: LayerStructure) -> tuple[int, ...]:
    """The fields as integers of at least 1."""
    kind, channels_in, channels_out, kernel, stride, padding, groups = astuple(x)
    return KINDS.index(kind) + 1, channels_in, channels_out, kernel, stride, padding + 1, groups
