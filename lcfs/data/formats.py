"""The published files of CIFAR-10, CIFAR-100 (binary versions) and SVHN (MATLAB), read and checked."""

from pathlib import Path

import numpy as np

from lcfs.data.download import SOURCES, DataFile
from lcfs.errors import InputError


def remedy(name: str) -> str:
    """The end of every sentence about a damaged file."""
    return f'delete it and run "lcfs data {name}"'


def read(name: str, place: Path, file: DataFile, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(pixels `[N, 3, 32, 32]` in 0…255 as uint8, labels `[N]` in 0…classes − 1 as int64) of one file.

    Raises: InputError if its size, layout or labels are not what they should be.
    """
    record_bytes = SOURCES[name].record_bytes
    path = place / file.name
    if record_bytes is None:
        return _read_mat(name, path, file, classes)
    return _read_binary(name, path, file, classes, record_bytes)


def _read_binary(
    name: str, path: Path, file: DataFile, classes: int, record_bytes: int
) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR's records: one label byte (CIFAR-100: coarse, then fine), then 3 · 32 · 32 pixels, channels first."""
    size, expected = path.stat().st_size, file.images * record_bytes
    if size != expected:
        state = "incomplete" if size < expected else "not the original"
        raise InputError(
            f"{path.name} in {path.parent} holds {size:,} bytes, expected {expected:,}; it is {state}: {remedy(name)}"
        )
    records = np.fromfile(path, dtype=np.uint8).reshape(file.images, record_bytes)
    labels = records[:, -3073].astype(np.int64)  # the byte before the pixels: CIFAR-100's fine label
    _check_labels(name, path, labels, 0, classes)
    return records[:, -3072:].reshape(-1, 3, 32, 32), labels


def _read_mat(name: str, path: Path, file: DataFile, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """SVHN's MATLAB file: X `[32, 32, 3, N]`, y `[N, 1]` in 1…10, where 10 is the digit 0."""
    import scipy.io

    try:
        contents = scipy.io.loadmat(path, variable_names=("X", "y"))
        pixels, labels = contents["X"], contents["y"].reshape(-1)
    except Exception as error:  # a damaged file makes the reader fail in any way: zlib, struct, index, memory
        raise InputError(f"{path.name} in {path.parent} is damaged ({type(error).__name__}); {remedy(name)}") from error
    expected = (32, 32, 3, file.images)
    if pixels.dtype != np.uint8 or pixels.shape != expected or labels.shape != (file.images,):
        raise InputError(
            f"{path.name} in {path.parent} holds X {pixels.dtype} {pixels.shape} and {labels.size} labels, expected "
            f"uint8 {expected} and {file.images}; {remedy(name)}"
        )
    _check_labels(name, path, labels, 1, classes)
    return pixels.transpose(3, 2, 0, 1), labels.astype(np.int64) % 10


def _check_labels(name: str, path: Path, labels: np.ndarray, first: int, classes: int) -> None:
    last = first + classes - 1
    outside = ~np.isin(labels, np.arange(first, last + 1))  # also catches fractions and NaN in a .mat
    if outside.any():
        record = int(outside.argmax())
        raise InputError(
            f"{path.name} in {path.parent}, record {record}: label {labels[record]} lies outside {first}…{last}; "
            f"the file is damaged: {remedy(name)}"
        )
