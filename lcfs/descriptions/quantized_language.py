"""The language of quantized nets: every integer tensor by an adaptive code, and the lengths of plainer languages."""

import math
from collections.abc import Mapping

import numpy as np

from lcfs.nets.quantized import QuantizedTensor
from theory.codes import Bits, EntropyCoded
from theory.languages import Description, Found, Reader, Writer

LANGUAGE = "adaptive-levels"
_CHOICE = 2.0
Specification = Mapping[str, QuantizedTensor]


def describe(integers: Mapping[str, np.ndarray], specification: Specification) -> Description:
    """Integer tensors as bits.

    Tensors of the same alphabet −K…K share one arithmetic codeword, in which each learns its own frequencies (KT rule):
    −log2 of its KT probability, and less than two bits for each alphabet. `lengths` adds what every level uniformly in
    −K…K (`uniform-levels`) and every weight as a float16 (`dense`) would take in a code that could choose among the
    three, which costs two bits.

    Args:
        integers: tensors by name, of the shapes and ranges of the specification, which the decoder knows.
    """
    writer = Writer()
    for bound, names in _streams(specification).items():
        symbols = np.concatenate([integers[name].ravel() for name in names]).astype(np.int64) + bound
        writer.write(_code(bound, names, specification), symbols, "", _item(bound))
    bits = writer.bits()
    uniform = sum(_size(tensor) * math.log2(2 * tensor.bound + 1) for tensor in specification.values())
    dense = 16.0 * sum(map(_size, specification.values()))
    lengths = {"dense": dense + _CHOICE, "uniform-levels": uniform + _CHOICE, LANGUAGE: float(len(bits))}
    return Description(bits, LANGUAGE, tuple(writer.ledger), lengths)


def decode(bits: Bits, specification: Specification) -> tuple[dict[str, np.ndarray], Found, Bits]:
    """(int8 tensors by name, language and ledger, what follows). Raises ValueError where bits are no description."""
    reader = Reader(bits)
    integers: dict[str, np.ndarray] = {}
    for bound, names in _streams(specification).items():
        symbols = reader.read(_code(bound, names, specification), "", _item(bound)) - bound
        ends = np.cumsum([_size(specification[name]) for name in names])
        for name, part in zip(names, np.split(symbols, ends[:-1]), strict=True):
            integers[name] = part.astype(np.int8).reshape(specification[name].shape)
    return {name: integers[name] for name in specification}, Found(LANGUAGE, tuple(reader.ledger)), reader.rest


def ideal_bits(integers: Mapping[str, np.ndarray], specification: Specification) -> float:
    """−log2 of the probability that the code gives these tensors, without the rounding to whole bits."""
    return sum(
        EntropyCoded(2 * tensor.bound + 1, _size(tensor)).ideal(integers[name].ravel().astype(np.int64) + tensor.bound)
        for name, tensor in specification.items()
    )


def _streams(specification: Specification) -> dict[int, list[str]]:
    """K → names of the tensors in −K…K; K ascending, names in the order of the specification."""
    bounds = sorted({tensor.bound for tensor in specification.values()})
    return {bound: [name for name, tensor in specification.items() if tensor.bound == bound] for bound in bounds}


def _code(bound: int, names: list[str], specification: Specification) -> EntropyCoded:
    sizes = [_size(specification[name]) for name in names]
    return EntropyCoded(2 * bound + 1, sum(sizes), np.repeat(np.arange(len(names)), sizes))


def _item(bound: int) -> str:
    return f"levels −{bound}…{bound}"


def _size(tensor: QuantizedTensor) -> int:
    return math.prod(tensor.shape)
