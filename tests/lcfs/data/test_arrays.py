"""Arrays of one's own: layouts, constants and names, and one sentence about everything that is no data set."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lcfs import data
from lcfs.data import Dataset
from lcfs.errors import InputError

RANDOM = np.random.default_rng(0)


def labelled(*shape: int, kind: type = np.float32) -> tuple[np.ndarray, np.ndarray]:
    return (100 * RANDOM.random((12, *shape))).astype(kind), np.arange(12) % 3


def saved(path: Path, **changed: object) -> Path:
    (x, y), (x_test, y_test) = labelled(5), labelled(5)
    content = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test} | changed
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


@pytest.mark.parametrize(
    ("shape", "layout", "image"),
    [
        ((40,), None, (1, 40)),
        ((6, 7), None, (1, 6, 7)),
        ((3, 6, 7), None, (3, 6, 7)),
        ((6, 7, 3), None, (3, 6, 7)),
        ((2, 40), "NCL", (2, 40)),
        ((40, 2), "NLC", (2, 40)),
        ((3, 7, 4), "NCHW", (3, 7, 4)),
        ((3, 7, 4), "NHWC", (4, 3, 7)),
    ],
)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_layouts(shape: tuple[int, ...], layout: str | None, image: tuple[int, ...], kind: type) -> None:
    pair = labelled(*shape, kind=kind)
    own = Dataset.from_arrays(pair, pair, layout=layout)
    assert (own.image_shape, own.classes) == (image, 3)
    assert own.train.images.dtype == (torch.uint8 if kind is np.uint8 else torch.float32)
    if layout is None and len(shape) == 3 and shape[0] != 3:
        np.testing.assert_array_equal(own.train.images.numpy(), pair[0].transpose(0, 3, 1, 2))
    x = pair[0] if image[0] == shape[0] or image[0] == 1 else np.moveaxis(pair[0], -1, 1)
    scaled = x.reshape(12, image[0], -1).astype(np.float64) / (255 if kind is np.uint8 else 1)
    np.testing.assert_allclose(own.mean, scaled.mean((0, 2)), rtol=1e-6, atol=6e-5)  # bytes: to four decimals
    np.testing.assert_allclose(own.std, scaled.std((0, 2)), rtol=1e-6, atol=6e-5)


def test_constant_channels_and_large_offsets() -> None:
    x = np.full((12, 2, 9), 3.0)
    x[:, 1] = 1e6 + RANDOM.standard_normal((12, 9))
    own = Dataset.from_arrays((x, np.arange(12) % 2), (x, np.arange(12) % 2), layout="NCL")
    assert (own.mean[0], own.std[0]) == (3.0, 1.0)
    assert own.std[1] == pytest.approx(x[:, 1].astype(np.float32).std(dtype=np.float64), rel=1e-6)


def test_other_numbers_become_float32_and_keras_labels_are_columns() -> None:
    x, y = labelled(5, kind=np.int64)
    own = Dataset.from_arrays((x, y[:, None].astype(np.uint8)), (x.astype(np.float64), y.astype(float)), classes=4)
    assert (own.train.images.dtype, own.classes) == (torch.float32, 4)
    assert torch.equal(own.train.labels, torch.from_numpy(y))


def test_named_by_its_hash_and_split_by_seed(tmp_path: Path) -> None:
    one, other = labelled(5), labelled(5)
    first, again, swapped = (Dataset.from_arrays(*pair) for pair in ((one, other), (one, other), (other, one)))
    assert first.name == again.name != swapped.name
    assert re.fullmatch(r"arrays-[0-9a-f]{12}", first.name)
    assert Dataset.from_arrays(one, other, name="mine").name == "mine"
    held = Dataset.from_arrays(one, other, validation=4, seed=1)
    assert (len(held.train), len(held.validation)) == (8, 4)
    assert data.load(str(saved(tmp_path / "own.npz")), validation=4).name.startswith("own-")


def test_a_file(tmp_path: Path) -> None:
    names = [f"gene {i}" for i in range(5)]
    (x, y) = labelled(5)
    path = saved(tmp_path / "own.npz", x_train=x, y_train=y, layout="NL", input_names=names)
    own = data.load(str(path))
    assert own.input_names == tuple(names)
    np.testing.assert_array_equal(own.train.images[:, 0].numpy(), x)
    assert data.facts(str(path)).image == (1, 5)


BAD = np.full((12, 5), 1.0)
BAD[4, 2] = np.nan
REFUSED = {
    "no test set": ({"x_test": None, "y_test": None}, "has no test set .it holds x_train, y_train"),
    "no labels": ({"y_train": None}, "lacks y_train"),
    "objects": ({"x_train": np.array([[1], [1, 2]], dtype=object)}, "x_train in .* array of Python objects"),
    "NaN": ({"x_train": BAD}, "x_train, row 4: NaN or infinity"),
    "infinity": ({"x_test": np.full((12, 5), np.inf)}, "x_test, row 0: NaN or infinity"),
    "huge": ({"x_test": np.full((12, 5), 1e300)}, "beyond float32"),
    "texts": ({"x_train": np.full((12, 5), "a")}, "x_train holds values of type <U1"),
    "label out of range": ({"y_test": np.arange(12)}, "y_test, row 3: label 3 lies outside 0…2"),
    "negative label": ({"y_train": np.arange(12) % 3 - 1}, "y_train, row 0: label -1 lies outside 0…1"),
    "fraction": ({"y_train": np.arange(12) / 2}, "y_train holds values that are no whole numbers"),
    "one-hot": ({"y_train": np.eye(12)}, r"y_train has shape \(12, 12\)"),
    "too few labels": ({"y_train": np.arange(11) % 3}, "x_train holds 12 examples, y_train 11 labels"),
    "one class": ({"y_train": np.zeros(12, int)}, "classes must be at least 2, got 1"),
    "another shape": ({"x_test": labelled(6)[0]}, r"x_test holds float32 \(1, 6\), x_train float32 \(1, 5\)"),
    "another type": ({"x_test": labelled(5, kind=np.uint8)[0]}, "x_test holds uint8"),
    "unclear channels": ({"x_train": labelled(3, 7, 4)[0]}, "does not show which axis is the channels"),
    "no axis": ({"x_train": np.arange(12.0)}, r"x_train has shape \(12,\), expected \[N, L\]"),
    "empty": ({"x_train": np.zeros((0, 5)), "y_train": np.zeros(0, int)}, "x_train is empty"),
    "layout": ({"layout": "NHWC"}, "layout 'NHWC' does not fit x_train"),
    "names": ({"input_names": ["a"]}, "input_names holds 1 names, examples have 5 inputs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    changed, sentence = REFUSED[case]
    path = saved(tmp_path / "own.npz", **changed)
    with pytest.raises(InputError, match=sentence) as caught:
        data.load(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"\x80\x04pickled"])
def test_no_archive(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    with pytest.raises(InputError, match="is not a file"):
        data.load(str(path))
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not an .npz file of arrays"):
        data.load(str(path))


def test_a_damaged_member(tmp_path: Path) -> None:
    path = saved(tmp_path / "own.npz")
    content = bytearray(path.read_bytes())
    at = content.index(b"\x93NUMPY") + 200
    content[at : at + 4] = b"\xff\xff\xff\xfe"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"own\.npz"):
        data.load(str(path))
