"""Numbers of any type as the bit patterns that a description spells out, piece by piece."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PIECE = 1 << 18  # entries that fit a cache
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_SIGNED = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_COMPLEX = {torch.complex128: torch.float64, torch.complex64: torch.float32, torch.complex32: torch.float16}


@dataclass(frozen=True)
class Format:
    """How a type writes a number down.

    Attributes:
        name: the type's.
        width: bits a number takes.
        sign: mask of the sign, if the type has a zero of each sign, else 0; −0 counts as zero.
        infinity: pattern of +∞, or the largest number where there is none: what lies above, signs aside, is no number.
            None if every pattern is a number.
    """

    name: str
    width: int
    sign: int = 0
    infinity: int | None = None

    @property
    def dtype(self) -> type:
        """Numpy's type of a pattern."""
        return _UNSIGNED[max(self.width // 8, 1)]


_FLOATS = {
    torch.float64: Format("float64", 64, 1 << 63, 0x7FF << 52),
    torch.float32: Format("float32", 32, 1 << 31, 0xFF << 23),
    torch.float16: Format("float16", 16, 1 << 15, 0x1F << 10),
    torch.bfloat16: Format("bfloat16", 16, 1 << 15, 0xFF << 7),
    torch.float8_e5m2: Format("float8_e5m2", 8, 1 << 7, 0x7C),
    torch.float8_e4m3fn: Format("float8_e4m3fn", 8, 1 << 7, 0x7E),
    torch.float8_e4m3fnuz: Format("float8_e4m3fnuz", 8),
    torch.float8_e5m2fnuz: Format("float8_e5m2fnuz", 8),
}
_NEGATIVE_ZERO_IS_NAN = ("float8_e4m3fnuz", "float8_e5m2fnuz")


def format_of(dtype: torch.dtype, *, nibbles: bool = False) -> Format:
    """The format of a type's numbers; a complex number is two, and packed nibbles are numbers of four bits."""
    if dtype in _COMPLEX:
        return format_of(_COMPLEX[dtype])
    name = str(dtype).removeprefix("torch.")
    if nibbles or name == "float4_e2m1fn_x2":
        return Format("int4" if nibbles else "float4_e2m1fn", 4)
    if dtype in _FLOATS:
        return _FLOATS[dtype]
    return Format(name, 1 if dtype == torch.bool else 8 * dtype.itemsize)


def count(tensor: Tensor, form: Format) -> int:
    """How many numbers of its format a tensor holds; an expanded axis holds its numbers once."""
    return collapsed(tensor).numel() * per_element(tensor.dtype, form)


def collapsed(tensor: Tensor) -> Tensor:
    """A tensor with one entry along each axis that repeats one (of stride 0)."""
    for axis, (length, step) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if step == 0 and length > 1:
            tensor = tensor.narrow(axis, 0, 1)
    return tensor


def pieces(tensor: Tensor, form: Format, mask: Tensor | None = None) -> Iterator[np.ndarray]:
    """Patterns in order, some 2¹⁸ at a time, −0 as 0; zero where a mask of the same shape is zero."""
    tensor = tensor.detach().cpu()
    if mask is None:
        yield from (_patterns(part, form) for part in _flat_parts(collapsed(tensor)))
        return
    for part, kept in zip(_flat_parts(tensor.contiguous()), _flat_parts(mask.detach().cpu().contiguous()), strict=True):
        patterns, held = _patterns(part, form), (kept != 0).numpy()
        yield np.where(np.repeat(held, len(patterns) // len(held)), patterns, patterns.dtype.type(0))


def invalid(patterns: np.ndarray, form: Format) -> int:
    """How many of them are no numbers (NaN)."""
    if form.name in _NEGATIVE_ZERO_IS_NAN:
        return int(np.count_nonzero(patterns == 0x80))
    if form.name == "float8_e8m0fnu":
        return int(np.count_nonzero(patterns == 0xFF))
    if form.infinity is None:
        return 0
    if form.width >= 32:
        return int(np.count_nonzero(np.isnan(patterns.view(np.float32 if form.width == 32 else np.float64))))
    rest = patterns & patterns.dtype.type(form.sign - 1)
    return int(np.count_nonzero(rest > form.infinity))


def _flat_parts(tensor: Tensor) -> Iterator[Tensor]:
    """The elements in order, never much more than a piece of them copied at a time."""
    if tensor.is_contiguous():
        yield from tensor.reshape(-1).split(PIECE)
    elif tensor.numel() <= PIECE:
        yield tensor.reshape(-1)
    else:
        inner = math.prod(tensor.shape[1:])
        if inner > PIECE:
            for row in tensor:
                yield from _flat_parts(row)
        else:
            for rows in tensor.split(max(PIECE // inner, 1)):
                yield rows.reshape(-1)


def _patterns(part: Tensor, form: Format) -> np.ndarray:
    if part.dtype in _COMPLEX:
        part = torch.view_as_real(part.resolve_conj()).reshape(-1)
    part = part.resolve_neg()
    if part.dtype == torch.bool:
        return part.numpy().view(np.uint8)
    patterns = part.view(_SIGNED[part.element_size()]).numpy().view(_UNSIGNED[part.element_size()])
    if form.width == 4:
        octets = patterns.view(np.uint8)
        return np.stack((octets & 15, octets >> 4), axis=-1).reshape(-1)
    if form.sign and (negative_zero := patterns == form.sign).any():
        patterns = np.where(negative_zero, patterns.dtype.type(0), patterns)
    return patterns


def per_element(dtype: torch.dtype, form: Format) -> int:
    """How many numbers of its format an element of a tensor is: two if complex, several if packed."""
    return 8 * dtype.itemsize // form.width if dtype != torch.bool else 1
