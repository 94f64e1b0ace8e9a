"""Trained nets made small for use: folded, compacted, sparse, in a file that runs no code when it is read."""

from lcfs.exporting.files import load, save
from lcfs.exporting.net import ExportedNet
from lcfs.exporting.runs import Exported, export
from lcfs.exporting.simplifying import simplify

__all__ = ["Exported", "ExportedNet", "export", "load", "save", "simplify"]
