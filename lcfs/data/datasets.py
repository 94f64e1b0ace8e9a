"""Data sets by name, whole: signals are computed, digits come with scikit-learn, CIFAR and SVHN from binary files.

Nothing here unpickles. A data set is small enough to live on the device in one piece (CIFAR-10: 184 MB).
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch

from lcfs.data import arrays, signals
from lcfs.data import download as downloads
from lcfs.data.dataset import Dataset, ImageSet, split_off
from lcfs.data.download import SOURCES
from lcfs.data.formats import read
from lcfs.data.names import FILE_SUFFIX, NAMED, Facts, check_name, stream_name, stream_of
from lcfs.data.signals import Signals
from lcfs.errors import InputError

_DIGITS_TRAIN = 1437
_STREAM_TEST = 10_000  # fresh signals that a net trained on the stream is tested on


def load(
    name: str,
    *,
    folder: str | Path | None = None,
    validation: int = 0,
    seed: int = 0,
    download: bool = True,
    samples: int = 0,
    data_seed: int = 0,
) -> Dataset:
    """A data set on the CPU, downloaded first if it is not there.

    Args:
        name: one of `DATASETS`, `signals:SAMPLES:SEED` for the two last arguments in one word, or an .npz file of one's
            own (see `Dataset.from_arrays`).
        folder: where its files lie, or the folder above; by default $LCFS_DATA, then the user's cache.
        validation: number of images to draw from the training set, in 0…len(train) - 1.
        seed: chooses the validation images, in 0…2³² - 1; the test set never depends on it.
        download: whether missing files may be fetched from the network.
        samples: for signals, how many to train on from the stream, 160 bytes of memory each; 0 is the frozen set.
        data_seed: of the stream, in 0…2³² - 2. The test set is the same 10,000 signals of yet another seed.

    Returns:
        The splits; train and validation keep the order of the files.

    Raises:
        InputError: an unknown name, missing or damaged files, no network, or numbers out of range.

    Source: the authors' own files, checksummed where they published checksums; scikit-learn's digits; MNIST-1D.

    >>> load("digits").image_shape
    (1, 8, 8)
    """
    if (of_stream := stream_of(name)) is not None:
        name, samples, data_seed = "signals", *of_stream
    _check_stream(name, samples, data_seed)
    if name.endswith(FILE_SUFFIX):
        return _from_file(Path(name).expanduser(), validation, seed)
    check_name(name)
    if name == "digits":
        train, test = _digits()
    elif name == "signals":
        train, test = _signals(samples, data_seed)
    else:
        root = downloads.data_folder(folder)
        place = downloads.locate(name, root)
        if place is None and not download:
            raise downloads.missing(name, root)
        place = place or downloads.download(name, root)
        *batches, test = (_image_set(*read(name, place, file, NAMED[name].classes)) for file in SOURCES[name].files)
        train = _concatenate(batches)
    train, held_out = split_off(train, validation, seed)
    known, name = NAMED[name], stream_name(samples, data_seed) if samples else name
    return Dataset(name, train, held_out, test, known.classes, known.mean, known.std)


def facts(name: str) -> Facts:
    """Shape, classes and constants of a data set, which of a file of one's own is read for it.

    Raises: InputError for an unknown name or a file that is not as it should be.
    """
    if name.endswith(FILE_SUFFIX):
        own = load(name)
        return Facts(own.image_shape, own.classes, own.mean, own.std, own.train.images.dtype == torch.uint8)
    check_name(name)
    return NAMED["signals" if stream_of(name) is not None else name]


def _check_stream(name: str, samples: int, data_seed: int) -> None:
    if samples and name != "signals":
        raise InputError(f"samples draws from the stream of signals, and {name} is what it is; leave samples out")
    if samples < 0:
        raise InputError(f"samples must be 0, the frozen set, or more, got {samples}")
    if not 0 <= data_seed < signals.FRESH_SEED:
        raise InputError(f"data_seed must lie in 0…2³² - 2, got {data_seed}")


def _from_file(path: Path, validation: int, seed: int) -> Dataset:
    found = arrays.read_npz(path)
    try:
        own = Dataset.from_arrays(
            found.train,
            found.test,
            layout=found.layout,
            input_names=found.input_names,
            validation=validation,
            seed=seed,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return own.renamed(own.name.replace("arrays", path.stem))


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


def _signals(samples: int, data_seed: int) -> tuple[ImageSet, ImageSet]:
    if samples:
        return _signal_set(signals.stream(data_seed, samples)), _signal_set(_fresh_signals(), copy=True)
    train, test = signals.frozen()
    return _signal_set(train, copy=True), _signal_set(test, copy=True)


@cache
def _fresh_signals() -> Signals:
    return signals.stream(signals.FRESH_SEED, _STREAM_TEST)


def _signal_set(found: Signals, copy: bool = False) -> ImageSet:
    x, y = (array.copy() if copy else array for array in (found.signals, found.labels))
    return _image_set(x[:, None], y)
