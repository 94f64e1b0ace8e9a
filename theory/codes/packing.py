"""Arrays of non-negative integers as fields of one width, and back."""

import numpy as np

from theory.codes.bits import Bits

_BLOCK = 1 << 17  # values at once, a multiple of 8 so that a block fills whole bytes; 8 MB of single bits at most


def pack(values: np.ndarray, width: int) -> Bits:
    """Fields of one width: integers `[s]` in [0, 2^width), 0 ≤ width ≤ 64, as s·width bits, top bit first."""
    if not 0 <= width <= 64:
        raise ValueError(f"width must lie in [0, 64], got {width}")
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"values must be integers of one axis, got {values.dtype} of shape {values.shape}")
    if len(values) and not 0 <= int(values.min()) <= int(values.max()) < 1 << width:
        raise ValueError(f"values must lie in [0, 2^{width}), got {values.min()} … {values.max()}")
    if width in (8, 16, 32, 64):
        return Bits.from_bytes(values.astype(f">u{width // 8}").tobytes())
    shifts = np.arange(width - 1, -1, -1, dtype=np.uint64)
    blocks = [
        np.packbits((values[i : i + _BLOCK, None].astype(np.uint64) >> shifts).astype(np.uint8) & 1).tobytes()
        for i in range(0, len(values), _BLOCK)
    ]
    return Bits.from_bytes(b"".join(blocks), len(values) * width)


def unpack(bits: Bits, width: int, count: int) -> tuple[np.ndarray, Bits]:
    """Values `[count]` of `pattern_type(width)`, and the rest. Raises ValueError for fewer than count·width bits."""
    fields, rest = bits.take(count * width)
    if width in (8, 16, 32, 64):
        return np.frombuffer(fields.to_bytes(), f">u{width // 8}").astype(pattern_type(width)), rest
    values = np.zeros(count, pattern_type(width))
    for i in range(0, count, _BLOCK):
        block = values[i : i + _BLOCK]
        data = np.frombuffer(fields[i * width : (i + len(block)) * width].to_bytes(), np.uint8)
        columns = np.unpackbits(data, count=len(block) * width).reshape(len(block), width).T
        for column in columns:
            block <<= block.dtype.type(1)
            block |= column
    return values, rest


def pattern_type(width: int) -> np.dtype:
    """The smallest unsigned type that holds `width` bits, 0 ≤ width ≤ 64.

    >>> pattern_type(4), pattern_type(32)
    (dtype('uint8'), dtype('uint32'))
    """
    return np.dtype(f"u{next(size for size in (1, 2, 4, 8) if 8 * size >= width)}")
