"""Examples with labels, and data sets of them: uint8 or float32 arrays over one axis or two, on one device."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from lcfs.data import arrays
from lcfs.errors import InputError


@dataclass(frozen=True)
class ImageSet:
    """Examples `[N, C, *grid]`, uint8 in 0…255 or float32, and their labels `[N]` in 0…classes - 1, on one device."""

    images: Shaped[Tensor, "N C *grid"]
    labels: Int64[Tensor, " N"]

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "ImageSet":
        """The same examples on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def fingerprint(self) -> str:
        """sha256 (hex) of type, shape, values and labels in the order of the set, row-major and little-endian.

        Device and memory layout do not change it; another order of the examples does. Bytes leave the type out.
        """
        kind = "" if self.images.dtype == torch.uint8 else f"{self.images.dtype}".removeprefix("torch.")
        values = self.images.cpu().contiguous().numpy()
        digest = hashlib.sha256(f"{kind}{tuple(self.images.shape)}".encode())
        digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).data)
        digest.update(self.labels.cpu().contiguous().numpy().astype("<i8", copy=False).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits, and the constants that normalize them.

    Attributes:
        mean, std: per channel of the training set; of bytes scaled to [0, 1], of floats as they are.
        input_names: of the places of the grid, in row-major order, where they have names; else empty.

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
    input_names: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(channels, *grid): (3, 32, 32) of a colour image, (1, 40) of a signal."""
        return tuple(self.train.images.shape[1:])

    def renamed(self, name: str) -> "Dataset":
        """The same data under another name."""
        return replace(self, name=name)

    @staticmethod
    def from_arrays(
        train: tuple[np.ndarray, np.ndarray],
        test: tuple[np.ndarray, np.ndarray],
        *,
        classes: int | None = None,
        name: str | None = None,
        layout: str | None = None,
        input_names: Sequence[str] = (),
        validation: int = 0,
        seed: int = 0,
    ) -> "Dataset":
        """A data set of one's own, normalized by the mean and standard deviation of each channel of its training set.

        Args:
            train, test: (examples, labels). Bytes stay bytes; other real numbers become float32. Labels are whole
                numbers in 0…classes - 1, `[N]` or `[N, 1]`.
            classes: number of classes; by default one more than the largest training label.
            name: by default `arrays-` and the first twelve digits of the sha256 of both splits.
            layout: the axes of the examples, one letter each: N examples, C channels, L the one axis of a signal, H and
                W those of an image. By default NL, NHW, and of four axes NHWC or NCHW, whichever has at most four
                channels; signals of several channels, NCL or NLC, have to be named.
            input_names: of the places of the grid in row-major order, as many as there are, or none.
            validation: number of training examples to set aside, in 0…N - 1.
            seed: chooses them, in 0…2³² - 1.

        Raises:
            InputError: what is wrong with which array.

        >>> x, y = np.zeros((6, 5)), np.arange(6) % 3
        >>> own = Dataset.from_arrays((x + y[:, None], y), (x, y))
        >>> own.image_shape, own.classes, own.mean
        ((1, 5), 3, (1.0,))
        """
        parts = [arrays.checked(split, *pair, layout) for split, pair in (("train", train), ("test", test))]
        x, y = parts[0]
        if parts[1][0].shape[1:] != x.shape[1:] or parts[1][0].dtype != x.dtype:
            raise InputError(
                f"x_test holds {arrays.described(parts[1][0])}, x_train {arrays.described(x)}; give both the same "
                "shape of example and type"
            )
        classes = int(y.max()) + 1 if classes is None else classes
        for split, (_, labels) in zip(("train", "test"), parts, strict=True):
            arrays.check_labels(split, labels, classes)
        arrays.check_input_names(input_names, x.shape[2:])
        own, other = (ImageSet(torch.from_numpy(x), torch.from_numpy(y)) for x, y in parts)
        mean, std = arrays.constants(x)
        if name is None:
            name = f"arrays-{hashlib.sha256((own.fingerprint() + other.fingerprint()).encode()).hexdigest()[:12]}"
        rest, held_out = split_off(own, validation, seed)
        return Dataset(name, rest, held_out, other, classes, mean, std, tuple(input_names))


def pixel_permutation(seed: int, image: tuple[int, ...]) -> Int64[Tensor, " places"]:
    """One fixed permutation of the places of the grid of an image (channels, *grid), the same on every machine.

    Raises InputError for a seed outside 0…2³² − 1.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must lie in 0…2³² - 1 to draw a permutation of the pixels, got {seed}")
    return torch.from_numpy(np.random.RandomState(seed).permutation(int(np.prod(image[1:]))))


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


def split_off(train: ImageSet, validation: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """(the rest, `validation` images drawn by `seed`), both in the order of the files.

    Raises: InputError for a number outside 0…len(train) - 1 or a seed outside 0…2³² - 1.
    """
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
