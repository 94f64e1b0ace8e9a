"""The non-zeros of one output channel, in CSR order: all output channels share them, up to an offset per group."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Pattern:
    """Entries (output position, input column, tap) sorted by position and column; colliding taps are neighbours.

    A slot is one stored number of the CSR row block: an entry, or several that collide.

    Attributes:
        position: `[entries]` in [0, positions).
        column: `[entries]` channel · pixels + pixel, within the group.
        tap: `[entries]` channel · taps + tap, within the filter of one output channel.
        slot: `[entries]` in [0, slots), non-decreasing.
        starts: `[slots]` the first entry of each slot.
        filter_size: taps of the filter of one output channel, all input channels of the group.
    """

    position: np.ndarray
    column: np.ndarray
    tap: np.ndarray
    slot: np.ndarray
    starts: np.ndarray
    filter_size: int

    @classmethod
    def of(cls, sources: np.ndarray, channels: int, pixels: int) -> "Pattern":
        """From the `[positions, taps]` table of pixels read, −1 for none, repeated for each channel of a group."""
        positions, taps = sources.shape
        order = np.argsort(sources, axis=1, kind="stable")
        pixel = np.take_along_axis(sources, order, axis=1)[:, None, :]
        channel = np.arange(channels)[None, :, None]
        keep = np.broadcast_to(pixel >= 0, (positions, channels, taps))
        position = np.broadcast_to(np.arange(positions)[:, None, None], keep.shape)[keep]
        column = (channel * pixels + pixel)[keep]
        tap = (channel * taps + order[:, None, :])[keep]
        fresh = (np.diff(column, prepend=-1) != 0) | (np.diff(position, prepend=-1) != 0)
        return cls(position, column, tap, np.cumsum(fresh) - 1, np.flatnonzero(fresh), channels * taps)

    @property
    def collides(self) -> bool:
        """Whether some slot holds several entries."""
        return len(self.starts) < len(self.slot)

    @cached_property
    def incidence(self) -> sparse.csr_array:
        """`[slots, filter_size]` zeros and ones: E for one output channel, without its zero rows."""
        shape = (len(self.starts), self.filter_size)
        return sparse.csr_array((np.ones(len(self.slot)), (self.slot, self.tap)), shape=shape)

    def collect(self, entries: np.ndarray) -> np.ndarray:
        """`[outputs, entries]` → `[outputs, slots]`, the sum over the entries of each slot."""
        return np.add.reduceat(entries, self.starts, axis=1) if self.collides else entries
