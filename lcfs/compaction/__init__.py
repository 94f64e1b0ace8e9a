"""Exact removal of dead units: a smaller net that trains as the full one would, and the way back."""

from lcfs.compaction.compacting import Compacted, compact
from lcfs.compaction.dead import dead_units

__all__ = ["Compacted", "compact", "dead_units"]
