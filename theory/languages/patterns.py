"""Floating-point arrays as integers: the bit patterns that codes write."""

from collections.abc import Iterable

import numpy as np

WIDTHS = (16, 32)
"""Bits of the IEEE formats that a description may use."""

_FLOATS = {16: np.float16, 32: np.float32}
_INTEGERS = {16: np.uint16, 32: np.uint32}


def value_bits(arrays: Iterable[np.ndarray]) -> int:
    """The least width in `WIDTHS` in which every entry is exact.

    Raises: ValueError for entries that are infinite or NaN, or are not exact in 32 bits.
    """
    width = 16
    for array in arrays:
        if not np.isfinite(array).all():
            raise ValueError("an array has entries that are infinite or NaN, which have no description")
        with np.errstate(over="ignore"):
            if width == 16 and (array.astype(np.float16) != array).any():
                width = 32
            if width == 32 and (array.astype(np.float32) != array).any():
                raise ValueError("an array has entries that are not exact in 32 bits; round it to float32 first")
    return width


def to_patterns(array: np.ndarray, width: int) -> np.ndarray:
    """The patterns of an array's entries, flat, row-major, uint16 or uint32; 0 is zero, and −0 is written as 0."""
    values = np.ascontiguousarray(array, dtype=_FLOATS[width]).ravel()
    return (values + _FLOATS[width](0)).view(_INTEGERS[width])


def from_patterns(patterns: np.ndarray, width: int, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of `to_patterns`, as float64.

    Raises: ValueError for patterns that are infinite or NaN.
    """
    values = patterns.astype(_INTEGERS[width]).view(_FLOATS[width])
    if not np.isfinite(values).all():
        raise ValueError("the bits hold a value that is infinite or NaN; no description has one")
    return values.astype(np.float64).reshape(shape)
