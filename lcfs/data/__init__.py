"""Data sets, whole: by name, computed or downloaded with checksums, or from arrays of one's own; no file runs code."""

from lcfs.data.dataset import Dataset, ImageSet, pixel_permutation, with_random_labels
from lcfs.data.datasets import facts, load
from lcfs.data.fetching import VerifiedFile, fetch, verify
from lcfs.data.names import DATASETS, Facts, is_named, stream_name

__all__ = [
    "DATASETS",
    "Dataset",
    "Facts",
    "ImageSet",
    "VerifiedFile",
    "facts",
    "fetch",
    "is_named",
    "load",
    "pixel_permutation",
    "stream_name",
    "verify",
    "with_random_labels",
]
