"""Arrays that are convolutions in disguise: written as a structure word and one filter bank, whatever their size."""

from collections.abc import Mapping

import numpy as np

from theory.codes import EliasDelta, LayerStructure, Structure
from theory.languages.ledger import Reader, Writer
from theory.languages.vectors import read_sparse, write_sparse
from theory.operators import Convolution, project_conv

Tied = tuple[LayerStructure, int, np.ndarray]
"""(structure, height of the input image, filter bank [out, in, k, k])."""


def find(name: str, array: np.ndarray, structures: Mapping[str, Convolution]) -> Tied | None:
    """The convolution that an array is the exact embedding of, or None.

    A LOCAL array `[H', W', O, C, k, k]` is tied if all its positions hold the same filters. An FC matrix `[units,
    inputs]` is compared with the convolution that `structures` names for it, square in kernel, stride and padding.
    """
    if array.ndim == 6 and array.size:
        filters = array[0, 0]
        outputs, inputs, kernel, _ = filters.shape
        return (LayerStructure("local", inputs, outputs, kernel), 1, filters) if (array == filters).all() else None
    if array.ndim == 2 and name in structures:
        convolution = structures[name]
        structure = _word(convolution)
        if structure is None or array.shape != convolution.shape:
            return None
        filters = project_conv(convolution, array).weight.astype(array.dtype)
        if (convolution.matrix(filters, limit_bytes=1 << 40) == array).all():
            return structure, convolution.spatial[0], filters
    return None


def write(writer: Writer, tied: Tied, patterns: np.ndarray, width: int, name: str) -> None:
    """The structure word, the height of the image, and the filter bank's patterns as a sparse vector."""
    structure, height, _ = tied
    writer.write(Structure(), structure, name, "structure word")
    writer.write(EliasDelta(), height, name, "structure word")
    write_sparse(writer, patterns, width, name, shared=True)


def read(reader: Reader, shape: tuple[int, ...], width: int, name: str) -> tuple[np.ndarray, LayerStructure, int]:
    """Patterns of a filter bank, its structure, the image's height. Raises ValueError for a shape of no such array."""
    structure: LayerStructure = reader.read(Structure(), name, "structure word")
    height = reader.read(EliasDelta(), name, "structure word")
    size = structure.channels_out * (structure.channels_in // structure.groups) * structure.kernel**2
    if size > np.prod(shape, dtype=object):
        raise ValueError(f"{name} has the shape {shape}, too small for the filters that its structure word promises")
    return read_sparse(reader, size, width, name, shared=True), structure, height


def expand(filters: np.ndarray, structure: LayerStructure, height: int, shape: tuple[int, ...]) -> np.ndarray:
    """The array of this shape that the flat filter bank is embedded in.

    Raises: ValueError if the structure does not give this shape.
    """
    s = structure
    bank = filters.reshape(s.channels_out, s.channels_in // s.groups, s.kernel, s.kernel)
    if len(shape) == 6 and s.kind == "local" and shape[2:] == bank.shape:
        return np.broadcast_to(bank, shape).copy()
    pixels = shape[1] if len(shape) == 2 and s.kind == "conv" else 0
    if not pixels or height > pixels or pixels % (s.channels_in * height):
        raise ValueError(f"an array of shape {shape} is no embedding of {s}")
    image = (s.channels_in, height, pixels // (s.channels_in * height))
    convolution = Convolution(image, s.channels_out, s.kernel, stride=s.stride, padding=s.padding, groups=s.groups)
    if convolution.shape != shape:
        raise ValueError(f"an array of shape {shape} is no embedding of {s}")
    return convolution.matrix(bank, limit_bytes=1 << 40)


def _word(convolution: Convolution) -> LayerStructure | None:
    """The structure of a two-dimensional convolution that is the same on both axes, zero-padded and not dilated."""
    axes = {(axis.kernel, axis.stride, axis.before, axis.after, axis.dilation) for axis in convolution.axes}
    kernel, stride, before, after, dilation = next(iter(axes))
    square = len(convolution.axes) == 2 and len(axes) == 1 and before == after and dilation == 1
    if not square or convolution.padding_mode != "zeros":
        return None
    inputs, outputs = convolution.in_channels, convolution.out_channels
    return LayerStructure("conv", inputs, outputs, kernel, stride, before, convolution.groups)
