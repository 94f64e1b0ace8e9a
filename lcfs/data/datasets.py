"""Data sets as whole uint8 tensors: scikit-learn's digits, and CIFAR-10, CIFAR-100 and SVHN from their binary files.

Nothing here unpickles. A data set is small enough to live on the device in one piece (CIFAR-10: 184 MB).
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from lcfs.data import download as downloads
from lcfs.data.download import SOURCES, DataFile
from lcfs.data.formats import read, remedy
from lcfs.errors import InputError

DATASETS = ("digits", "cifar10", "cifar100", "svhn")

_CLASSES = {"digits": 10, "cifar10": 10, "cifar100": 100, "svhn": 10}
# Mean and standard deviation per channel of the training pixels in [0, 1]: the constants in common use, so that
# results compare; digits computed here from its 1,437 training images.
_MEAN = {
    "digits": (0.3054,),
    "cifar10": (0.4914, 0.4822, 0.4465),
    "cifar100": (0.5071, 0.4865, 0.4409),
    "svhn": (0.4377, 0.4438, 0.4728),
}
_STD = {
    "digits": (0.3757,),
    "cifar10": (0.2470, 0.2435, 0.2616),
    "cifar100": (0.2673, 0.2564, 0.2762),
    "svhn": (0.1980, 0.2010, 0.1970),
}
_DIGITS_TRAIN = 1437


@dataclass(frozen=True)
class ImageSet:
    """Images `[N, C, H, W]` in 0…255 and their labels `[N]` in 0…classes - 1, on one device."""

    images: UInt8[Tensor, "N C H W"]
    labels: Int64[Tensor, " N"]

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "ImageSet":
        """The same images on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def fingerprint(self) -> str:
        """sha256 (hex) of shape, pixels and labels in the order of the set, row-major and little-endian.

        Device and memory layout do not change it; another order of the images does.
        """
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        digest.update(self.images.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().contiguous().numpy().astype("<i8").data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits, and the constants that normalize them: per channel, of pixels in [0, 1].

    >>> from lcfs import load_data
    >>> digits = load_data("digits", validation=100)
    >>> len(digits.train), len(digits.validation), len(digits.test), digits.classes
    (1337, 100, 360, 10)
    """

    name: str
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class VerifiedFile:
    """A file that holds what it should; `checksum` is the published `algorithm:digest` it has, if there is one."""

    path: Path
    images: int
    checksum: str | None

    def __str__(self) -> str:
        compared = f"{self.checksum.split(':')[0]} as published" if self.checksum else "no published checksum"
        return f"{self.path}: {self.images:,} images, labels in range, {compared}"


def load(
    name: str, *, folder: str | Path | None = None, validation: int = 0, seed: int = 0, download: bool = True
) -> Dataset:
    """A data set on the CPU, downloaded first if it is not there.

    Args:
        name: one of `DATASETS`.
        folder: where its files lie, or the folder above; by default $LCFS_DATA, then the user's cache.
        validation: number of images to draw from the training set, in 0…len(train) - 1.
        seed: chooses the validation images, in 0…2³² - 1; the test set never depends on it.
        download: whether missing files may be fetched from the network.

    Returns:
        The splits; train and validation keep the order of the files.

    Raises:
        InputError: an unknown name, missing or damaged files, no network, or too many validation images.

    Source: the authors' own files, checksummed where they published checksums; scikit-learn's digits.

    >>> load("digits").image_shape
    (1, 8, 8)
    """
    _check_name(name)
    if name == "digits":
        train, test = _digits()
    else:
        root = downloads.data_folder(folder)
        place = downloads.locate(name, root)
        if place is None and not download:
            raise downloads.missing(name, root)
        place = place or downloads.download(name, root)
        *batches, test = (_image_set(*read(name, place, file, _CLASSES[name])) for file in SOURCES[name].files)
        train = _concatenate(batches)
    train, held_out = _split(train, validation, seed)
    return Dataset(name, train, held_out, test, _CLASSES[name], _MEAN[name], _STD[name])


def fetch(name: str, folder: str | Path | None = None, source: str | Path | None = None) -> Path:
    """Put a verified data set in the folder and return where its files lie.

    Args:
        name: one of `DATASETS`; digits comes with scikit-learn, so nothing is fetched.
        folder: where to put it; by default $LCFS_DATA, then the user's cache.
        source: a local folder, or the data set's archive, to take it from instead of the network.

    Raises:
        InputError: an unknown name, a missing or damaged source, or no network; the folder is then as before.
    """
    _check_name(name)
    if name == "digits":
        import sklearn.datasets

        return Path(sklearn.datasets.__file__).parent / "data"
    root = downloads.data_folder(folder)
    if source is not None:
        return _take(name, Path(source).expanduser(), root)
    place = downloads.locate(name, root) or downloads.download(name, root)
    verify(name, place)
    return place


def verify(name: str, folder: str | Path | None = None) -> list[VerifiedFile]:
    """Check size, labels and published checksum of every file of a data set; digits has no files of ours: [].

    Raises:
        InputError: the first file that is missing or is not what it should be.
    """
    _check_name(name)
    if name == "digits":
        return []
    root = downloads.data_folder(folder)
    place = downloads.locate(name, root)
    if place is None:
        raise downloads.missing(name, root)
    return [_verify_file(name, place, file) for file in SOURCES[name].files]


def classes(name: str) -> int:
    """Number of classes of a data set. Raises InputError for an unknown name."""
    _check_name(name)
    return _CLASSES[name]


def image_shape(name: str) -> tuple[int, int, int]:
    """(channels, height, width) of a data set's images. Raises InputError for an unknown name."""
    _check_name(name)
    return (1, 8, 8) if name == "digits" else (3, 32, 32)


def normalization(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of each channel of the training images, pixels in [0, 1]. Raises InputError for an unknown name."""
    _check_name(name)
    return _MEAN[name], _STD[name]


def pixel_permutation(seed: int, image: tuple[int, int, int]) -> Int64[Tensor, " pixels"]:
    """One fixed permutation of the height × width pixels of an image (channels, height, width), the same on every
    machine. Raises InputError for a seed outside 0…2³² − 1."""
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must lie in 0…2³² - 1 to draw a permutation of the pixels, got {seed}")
    return torch.from_numpy(np.random.RandomState(seed).permutation(image[1] * image[2]))


def with_random_labels(dataset: Dataset, seed: int) -> Dataset:
    """The same images, and for training ones labels drawn independently and uniformly from all classes.

    Validation and test labels stay. The same seed draws the same labels on every machine.
    Raises: InputError for a seed outside 0…2³² − 1.
    Source: Zhang et al., Understanding deep learning requires rethinking generalization, 2017.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must lie in 0…2³² - 1 to draw labels, got {seed}")
    drawn = np.random.RandomState(seed).randint(dataset.classes, size=len(dataset.train), dtype=np.int64)
    labels = torch.from_numpy(drawn).to(dataset.train.labels.device)
    return replace(dataset, train=ImageSet(dataset.train.images, labels))


def _check_name(name: str) -> None:
    if name not in DATASETS:
        raise InputError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}")


def _take(name: str, source: Path, root: Path) -> Path:
    if source.is_file():
        return downloads.copy_archive(name, source, root)
    origin, archive = downloads.locate(name, source), SOURCES[name].archive
    if origin is not None:
        verify(name, origin)
        return downloads.copy_folder(name, origin, root)
    if archive is not None and (source / archive.name).is_file():
        return downloads.copy_archive(name, source / archive.name, root)
    raise downloads.missing(name, source)


def _verify_file(name: str, place: Path, file: DataFile) -> VerifiedFile:
    _, labels = read(name, place, file, _CLASSES[name])
    if file.checksum:
        downloads.check_checksum(place / file.name, file.checksum, remedy(name))
    return VerifiedFile(place / file.name, len(labels), file.checksum)


def _image_set(pixels: np.ndarray, labels: np.ndarray) -> ImageSet:
    return ImageSet(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels))


def _concatenate(parts: list[ImageSet]) -> ImageSet:
    return ImageSet(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


@cache
def _digits_arrays() -> tuple[np.ndarray, np.ndarray]:
    """1,797 scans of 8 × 8, grey levels 0…16 stretched to 0…255, in a fixed random order."""
    from sklearn.datasets import load_digits

    grey, labels = load_digits(return_X_y=True)
    pixels = np.round(np.asarray(grey) * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    order = np.random.RandomState(0).permutation(len(pixels))  # RandomState: a stream NumPy promises not to change
    return pixels[order], np.asarray(labels)[order].astype(np.int64)


def _digits() -> tuple[ImageSet, ImageSet]:
    pixels, labels = (array.copy() for array in _digits_arrays())
    return (
        _image_set(pixels[:_DIGITS_TRAIN], labels[:_DIGITS_TRAIN]),
        _image_set(pixels[_DIGITS_TRAIN:], labels[_DIGITS_TRAIN:]),
    )


def _split(train: ImageSet, validation: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """(the rest, `validation` images drawn by `seed`), both in the order of the files."""
    if not 0 <= validation < len(train):
        raise InputError(
            f"validation must lie in 0…{len(train) - 1}, got {validation}; the data set has no more to spare"
        )
    if validation == 0:
        return train, ImageSet(train.images[:0], train.labels[:0])
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must lie in 0…2³² - 1 to draw validation images, got {seed}")
    drawn = np.zeros(len(train), dtype=bool)
    drawn[np.random.RandomState(seed).permutation(len(train))[:validation]] = True
    mask = torch.from_numpy(drawn)
    return ImageSet(train.images[~mask], train.labels[~mask]), ImageSet(train.images[mask], train.labels[mask])
