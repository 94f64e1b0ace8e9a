"""One axis of a convolution: which input position each (output position, tap) reads.

A convolution is a product over its axes, so that every count, Gram matrix and rank of the whole is a product of these.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

PADDING_MODES = ("zeros", "circular", "reflect", "replicate")


@dataclass(frozen=True)
class Axis:
    """Geometry of one axis: output p and tap t read the padded input at p · stride − before + t · dilation.

    Args:
        size: length of the input, ≥ 1.
        kernel, stride, dilation: in taps and positions, ≥ 1.
        before, after: padding at the two ends, ≥ 0; less than `size` for reflect, at most `size` for circular.
        mode: one of PADDING_MODES, with torch's meaning.

    Raises:
        ValueError: a value out of range, or a dilated kernel longer than the padded input.
    """

    size: int
    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    mode: str = "zeros"

    def __post_init__(self) -> None:
        if self.mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {', '.join(PADDING_MODES)}, got {self.mode!r}")
        if min(self.size, self.kernel, self.stride, self.dilation) < 1:
            raise ValueError(f"size, kernel, stride and dilation must be at least 1, got {self}")
        if min(self.before, self.after) < 0:
            raise ValueError(f"padding must not be negative, got {self}")
        widest = {"reflect": self.size - 1, "circular": self.size}.get(self.mode)
        if widest is not None and max(self.before, self.after) > widest:
            raise ValueError(f"{self.mode} padding of {self.size} pixels must be at most {widest}, got {self}")
        if self.reach > self.padded:
            raise ValueError(f"the dilated kernel spans {self.reach} pixels of {self.padded} padded ones in {self}")

    @property
    def padded(self) -> int:
        """Length of the padded input."""
        return self.size + self.before + self.after

    @property
    def reach(self) -> int:
        """Length that the dilated kernel spans."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def out(self) -> int:
        """Length of the output."""
        return (self.padded - self.reach) // self.stride + 1

    @cached_property
    def sources(self) -> np.ndarray:
        """Input positions `[out, kernel]` in [0, size), −1 where a tap falls on zero padding."""
        reads = self.stride * np.arange(self.out)[:, None] + self.dilation * np.arange(self.kernel) - self.before
        if self.mode == "circular":
            return reads % self.size
        if self.mode == "replicate":
            return reads.clip(0, self.size - 1)
        if self.mode == "reflect":
            last = self.size - 1
            return last - abs(last - abs(reads))
        return np.where((reads >= 0) & (reads < self.size), reads, -1)

    @cached_property
    def gram(self) -> np.ndarray:
        """Numbers `[kernel, kernel]` of output positions at which two taps read the same pixel."""
        same = self.sources[:, :, None] == self.sources[:, None, :]
        return (same & (self.sources >= 0)[:, :, None]).sum(0)

    @property
    def collides(self) -> bool:
        """Whether two taps ever read the same pixel at one output position."""
        return bool(np.any(self.gram != np.diag(self.gram.diagonal())))

    @property
    def rank(self) -> int:
        """Number of independent filters along this axis: rank of `gram`."""
        return int(np.linalg.matrix_rank(self.gram.astype(float), hermitian=True))

    @property
    def distinct(self) -> int:
        """Number of distinct pairs (output position, pixel read)."""
        ordered = np.sort(self.sources, axis=1)
        fresh = np.diff(ordered, axis=1, prepend=-2) != 0
        return int((fresh & (ordered >= 0)).sum())
