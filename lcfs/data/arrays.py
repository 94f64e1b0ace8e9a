"""Arrays of one's own, from Python or from an .npz file: what they must be, and one sentence about each that is not."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lcfs.errors import InputError

LAYOUTS = ("NL", "NCL", "NLC", "NHW", "NCHW", "NHWC")
_REQUIRED = ("x_train", "y_train", "x_test", "y_test")
_MOST_CHANNELS = 4  # of which the channels of an unnamed layout are known: grey, with transparency, RGB, RGBA


@dataclass(frozen=True)
class Arrays:
    """What an .npz file of one's own holds; `layout` is None and `input_names` are empty if it says nothing of them."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    layout: str | None
    input_names: tuple[str, ...]


def read_npz(path: Path) -> Arrays:
    """The arrays x_train, y_train, x_test and y_test of a file, and where present the texts `layout` and `input_names`.

    Raises:
        InputError: no such file, not an .npz file, an array that is missing or would need pickle.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; --data takes the name of a data set or of an .npz file")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if missing := [name for name in _REQUIRED if name not in file.files]:
                raise InputError(_without(path, missing, file.files))
            x, y, x_test, y_test = (_array(path, file, name) for name in _REQUIRED)
            layout = str(_array(path, file, "layout")) if "layout" in file.files else None
            names = _array(path, file, "input_names") if "input_names" in file.files else np.array([], str)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise InputError(
            f"{path} is not an .npz file of arrays ({type(error).__name__}); write it with numpy.savez_compressed"
        ) from error
    return Arrays((x, y), (x_test, y_test), layout, tuple(str(name) for name in names.ravel()))


def checked(split: str, x: np.ndarray, y: np.ndarray, layout: str | None) -> tuple[np.ndarray, np.ndarray]:
    """(examples `[N, C, *grid]` as uint8 or float32, labels `[N]` as int64), contiguous, of a split.

    Raises:
        InputError: an unclear layout, types, shapes or values that are no examples or labels.
    """
    examples = _channels_first(f"x_{split}", _numbers(f"x_{split}", np.asarray(x)), layout)
    labels = _labels(f"y_{split}", np.asarray(y))
    if len(examples) != len(labels):
        raise InputError(f"x_{split} holds {len(examples)} examples, y_{split} {len(labels)} labels; give one of each")
    if examples.size == 0:
        raise InputError(f"x_{split} is empty, of shape {np.shape(x)}; give at least one example")
    return examples, labels


def check_labels(split: str, labels: np.ndarray, classes: int) -> None:
    """Raises InputError unless there are two classes or more and all labels lie in 0…classes - 1."""
    if classes < 2:
        raise InputError(f"classes must be at least 2, got {classes}; labels start at 0 and y_train decides")
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(outside.argmax())
        raise InputError(
            f"y_{split}, row {row}: label {labels[row]} lies outside 0…{classes - 1}; number the classes from 0, and "
            "let y_train hold the last one or say how many there are"
        )


def check_input_names(names: Sequence[str], grid: tuple[int, ...]) -> None:
    """Raises InputError unless there are no names or one for each place of the grid."""
    if len(names) not in (0, int(np.prod(grid))):
        raise InputError(
            f"input_names holds {len(names)} names, examples have {int(np.prod(grid))} inputs; name each one or none"
        )


def constants(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of `[N, C, *grid]`: of bytes in [0, 1] to four decimals, of floats
    to float32. A channel that is constant has standard deviation 1."""
    rows = x.reshape(*x.shape[:2], -1)
    count = rows.shape[0] * rows.shape[2]
    mean = rows.sum((0, 2), dtype=np.float64) / count
    squares = np.zeros_like(mean)
    for part in np.array_split(rows, -(-rows.size // 2**22)):  # a copy in float64 of no more than that at once
        squares += ((part - mean[:, None]) ** 2).sum((0, 2), dtype=np.float64)
    std = np.sqrt(squares / count)
    if x.dtype == np.uint8:
        mean, std = np.round(mean / 255, 4), np.round(std / 255, 4)
    mean, std = (v.astype(np.float32).astype(np.float64) if x.dtype != np.uint8 else v for v in (mean, std))
    return tuple(mean.tolist()), tuple(np.where(std > 0, std, 1.0).tolist())


def described(x: np.ndarray) -> str:
    """Type and shape of one example, in words."""
    return f"{x.dtype} {tuple(x.shape[1:])}"


def _array(path: Path, file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    try:
        return file[name]
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{name} in {path} is an array of Python objects, whose reading may run code; save numbers of one shape"
            ) from error
        raise InputError(f"{name} in {path} is damaged ({error}); write the file anew") from error


def _without(path: Path, missing: list[str], found: list[str]) -> str:
    holds = f"it holds {', '.join(found) or 'nothing'}"
    if missing == ["x_test", "y_test"]:
        return f"{path} has no test set ({holds}); set examples aside and save them as x_test and y_test"
    return f"{path} lacks {', '.join(missing)} ({holds}); save {', '.join(_REQUIRED)}"


def _numbers(name: str, x: np.ndarray) -> np.ndarray:
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "biuf":
        raise InputError(f"{name} holds values of type {x.dtype}; give bytes (uint8) or real numbers")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        row = int((~np.isfinite(x)).reshape(len(x), -1).any(1).argmax())
        raise InputError(f"{name}, row {row}: NaN or infinity; remove the row or fill the gap")
    with np.errstate(over="ignore"):
        rounded = x.astype(np.float32)
    if not np.isfinite(rounded).all():
        raise InputError(f"{name} holds values beyond float32, above 3.4e38; scale them down")
    return rounded


def _channels_first(name: str, x: np.ndarray, layout: str | None) -> np.ndarray:
    axes = layout or _guessed(name, x)
    if axes not in LAYOUTS or len(axes) != x.ndim:
        raise InputError(f"layout {axes!r} does not fit {name} of shape {x.shape}; it is one of {', '.join(LAYOUTS)}")
    moved = np.moveaxis(x, axes.index("C"), 1) if "C" in axes else x[:, None]
    return np.require(moved, requirements=("C", "W"))


def _guessed(name: str, x: np.ndarray) -> str:
    if x.ndim in (2, 3):
        return {2: "NL", 3: "NHW"}[x.ndim]
    if x.ndim == 4:
        first, last = x.shape[1] <= _MOST_CHANNELS, x.shape[3] <= _MOST_CHANNELS
        if first != last:
            return "NCHW" if first else "NHWC"
        raise InputError(f"{name} of shape {x.shape} does not show which axis is the channels; say layout NCHW or NHWC")
    raise InputError(
        f"{name} has shape {x.shape}, expected [N, L] for signals, [N, H, W], [N, H, W, C] or [N, C, H, W] for images"
    )


def _labels(name: str, y: np.ndarray) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:  # as Keras writes those of CIFAR
        y = y[:, 0]
    if y.ndim != 1:
        raise InputError(f"{name} has shape {y.shape}, expected [N], the number of each example's class")
    if y.dtype.kind not in "biuf" or not np.array_equal(y, np.floor(y)):
        raise InputError(f"{name} holds values that are no whole numbers ({y.dtype}); number the classes from 0")
    if y.dtype.kind == "u" and y.size and y.max() > 2**31:
        raise InputError(f"{name} holds the label {y.max()}; number the classes from 0")
    return y.astype(np.int64)
