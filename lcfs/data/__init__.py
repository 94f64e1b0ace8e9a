"""Data sets, whole and normalized: by name, downloaded with checksums where need be, from files that run no code."""

from lcfs.data.datasets import (
    DATASETS,
    Dataset,
    ImageSet,
    VerifiedFile,
    classes,
    fetch,
    image_shape,
    load,
    normalization,
    pixel_permutation,
    verify,
    with_random_labels,
)

__all__ = [
    "DATASETS",
    "Dataset",
    "ImageSet",
    "VerifiedFile",
    "classes",
    "fetch",
    "image_shape",
    "load",
    "normalization",
    "pixel_permutation",
    "verify",
    "with_random_labels",
]
