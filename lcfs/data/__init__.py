"""Data sets, whole: by name, computed or downloaded with checksums, or from arrays of one's own; no file runs code."""

from lcfs.data.dataset import Dataset, ImageSet, pixel_permutation, with_random_labels
from lcfs.data.datasets import facts, load
from lcfs.data.fetching import VerifiedFile, fetch, verify
from lcfs.data.names import DATASETS, Facts

__all__ = [
    "DATASETS",
    "Dataset",
    "Facts",
    "ImageSet",
    "VerifiedFile",
    "facts",
    "fetch",
    "load",
    "pixel_permutation",
    "verify",
    "with_random_labels",
]
