"""Files made to break a verifier: one sentence and an exit code, no traceback, no memory, and one form for one claim.

Negative controls throughout; the files have true checksums.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcfs import cli, data
from lcfs.certificates import Certificate, container, verify
from lcfs.certificates.certifying import issue
from lcfs.descriptions.encoded import encode
from lcfs.descriptions.float_nets import FloatPredictor
from lcfs.descriptions.quantized_nets import QuantizedPredictor
from lcfs.errors import InputError
from lcfs.nets.quantized import Architecture
from theory.codes import Bits, EliasDelta, Uniform

PREDICTOR = FloatPredictor("3-fc", 2, 3, (1, 8, 8), 10, (3054,), (3757,))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    g = np.random.default_rng(0)
    arrays = {name: g.choice([-1, 0, 2], shape).astype(np.float32) for name, shape in PREDICTOR.layout().items()}
    path = tmp_path_factory.mktemp("certificates") / "net.cert"
    issue(encode(PREDICTOR, arrays).bits, data.load("digits")).write(path)
    return path


def written(content: bytes, path: Path) -> Path:
    path.write_bytes(content + hashlib.sha256(content).digest())
    return path


def with_header(header: bytes, path: Path, payload: bytes = b"") -> Path:
    return written(container.MAGIC + len(header).to_bytes(8, "little") + header + payload, path)


def code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    return int(stop.value.code or 0)


def test_the_honest_file_is_verified(file: Path) -> None:
    assert verify(file).differences == ()


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"format": 2, "bits": ' + b"[" * 100_000,
        b'{"format": 2, "bits": 1e999}',
        b'{"format": 2, "bits": ' + b"9" * 10_000 + b"}",
        b'{"format": ' + b"9" * 4000 + b"}",
        b'{"format": 2, "bits": 0, "language": {}, "language_bits": 7, "ledger": 3}',
        b'{"format": 2, "bits": 0, "language": "", "language_bits": {}, "ledger": [{}], "train": [], "delta": null}',
        b'{"format": NaN}',
        b"\x80\x04.",
        b" " * (1 << 21),
    ],
    ids=range(10),
)
def test_hostile_headers_are_a_sentence(header: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code("verify", str(with_header(header, tmp_path / "x.cert"))) == 1
    out = capsys.readouterr()
    assert len(out.out) < 1000
    assert out.err == ""


def test_a_header_longer_than_the_file(tmp_path: Path) -> None:
    content = container.MAGIC + (1 << 62).to_bytes(8, "little") + b"{}"
    assert "which no certificate has" in verify(written(content, tmp_path / "x.cert")).differences[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
PATHS = [
    ("format",), ("bits",), ("language",), ("language_bits",), ("language_bits", "dense"), ("ledger",), ("ledger", 0),
    ("ledger", 0, "bits"), ("train",), ("train", "data"), ("train", "split"), ("train", "images"), ("train", "sha256"),
    ("train_errors",), ("test",), ("test", "data"), ("test", "images"), ("test_errors",), ("delta",), ("bounds",),
    ("bounds", "occam_kl"),
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.sampled_from(PATHS), JSON)
def test_any_json_anywhere_is_refused(file: Path, tmp_path: Path, where: tuple, value: Any) -> None:
    header, payload = container.parts(container.read(file), file)
    place: Any = header
    for key in where[:-1]:
        place = place[key]
    if place[where[-1]] == value:
        return
    place[where[-1]] = value
    path = with_header(json.dumps(header, indent=1).encode(), tmp_path / "x.cert", payload)
    try:
        assert not verify(path).verified
    except InputError:
        return


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(st.binary(max_size=60))
def test_any_bits_are_answered(file: Path, tmp_path: Path, payload: bytes) -> None:
    header, _ = container.parts(container.read(file), file)
    header["bits"] = 8 * len(payload)
    path = with_header(json.dumps(header, indent=1).encode(), tmp_path / "x.cert", payload)
    try:
        assert not verify(path).verified
    except InputError:
        return


def replaced(file: Path, path: Path, old: bytes, new: bytes, payload: bytes | None = None) -> Path:
    content = container.read(file)
    start, end = 16, 16 + int.from_bytes(content[8:16], "little")
    assert old in content[start:end]
    tail = content[end:-32] if payload is None else payload
    return with_header(content[start:end].replace(old, new, 1), path, tail)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"delta": 0.05', b'"delta": 0.0500'),
        (b'"delta": 0.05', b'"delta": 0.05, "delta": 0.05'),
        (b'"delta": 0.05', b'"delta": 0.05,\n "by": "me"'),
        (b'"format": 2', b'"format":  2'),
        (b"}", b"}\n"),
        (b'"split": "train"', b'"split": "tr\\u0061in"'),
    ],
)
def test_another_spelling_of_the_same_claim_is_refused(old: bytes, new: bytes, file: Path, tmp_path: Path) -> None:
    (difference,) = verify(replaced(file, tmp_path / "x.cert", old, new)).differences
    assert "not written as certificates are" in difference


def test_padding_is_refused(file: Path, tmp_path: Path) -> None:
    _, payload = container.parts(container.read(file), file)
    bits = Certificate.read(file).bits
    for wrong in (payload + b"\0", payload[:-1] + bytes([payload[-1] | 1 if bits % 8 else 0])):
        if wrong != payload:
            path = replaced(file, tmp_path / "x.cert", b"{", b"{", wrong)
            assert "not written as certificates are" in verify(path).differences[0]


def reworded(bits: Bits, path: Path) -> Path:
    """A certificate of these bits with all that it claims true."""
    issue(bits, data.load("digits")).write(path)
    return path


@pytest.mark.parametrize("value", [0x8000, 0x3C00])
def test_bits_that_are_not_how_a_net_is_written_are_refused(value: int, tmp_path: Path) -> None:
    """−0.0 in the dense language, and a net that another language writes shorter."""
    weights = PREDICTOR.weights()
    patterns = Bits.from_int(value, 16) + Bits("0" * 16 * (weights - 1))
    header = Uniform(2).encode(0) + PREDICTOR.word() + Uniform(6).encode(0) + Uniform(2).encode(0)
    differences = verify(reworded(header + patterns, tmp_path / "x.cert")).differences
    assert any("not how this net is written" in difference for difference in differences)


def test_a_net_for_other_data_is_refused_before_it_is_built(file: Path, tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("something was built")

    header, _ = container.parts(container.read(file), file)
    giant = FloatPredictor("s-fc", 10_000, 3, (3, 4096, 4096), 1000, (0, 0, 0), (1, 1, 1))
    bits = Uniform(2).encode(0) + giant.word()
    header["bits"] = len(bits)
    path = with_header(json.dumps(header, indent=1).encode(), tmp_path / "x.cert", bits.to_bytes())
    monkeypatch.setattr(FloatPredictor, "layout", fail)
    (difference,) = verify(path).differences
    assert difference.startswith("the net takes images (3, 4096, 4096)")


@pytest.mark.parametrize("field", ["image", "classes"])
def test_images_and_classes_are_those_of_the_data(field: str, tmp_path: Path, monkeypatch) -> None:
    """Nets of the right form for other images or more classes, which would count without an error."""
    changes = {"image": (1, 4, 16), "classes": 11}[field]
    predictor = FloatPredictor(**{**PREDICTOR.__dict__, field: changes})
    arrays = {name: np.zeros(shape, np.float32) for name, shape in predictor.layout().items()}
    dataset = data.load("digits")
    bits = encode(predictor, arrays).bits
    path = tmp_path / "x.cert"
    issue(bits, dataset).write(path)
    (difference,) = verify(path).differences
    assert "the net takes images" in difference


def test_large_nets_need_permission(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header, _ = container.parts(container.read(file), file)
    large = FloatPredictor("3-fc", 5000, 3, (1, 8, 8), 10, (0,), (1,))
    slow = QuantizedPredictor(Architecture(256, ((0,) * 60,), 15), (1, 8, 8), 10)
    for kind, predictor, words in ((0, large, "weights"), (1, slow, "multiplications an image")):
        bits = Uniform(2).encode(kind) + predictor.word()
        header["bits"] = len(bits)
        path = with_header(json.dumps(header, indent=1).encode(), tmp_path / "x.cert", bits.to_bytes())
        assert code("verify", str(path), "--most-weights", "1000000") == 2
        out = capsys.readouterr()
        assert words in out.err
        assert "--most-weights" in out.err
        assert out.err.count("\n") == 1


def test_large_files_need_permission(file: Path) -> None:
    with pytest.raises(InputError, match=r"more than .* bytes"):
        Certificate.read(file, most_bytes=100)


def test_numbers_of_a_word_as_long_as_the_file(file: Path, tmp_path: Path) -> None:
    """An Elias code that promises a number of 2^40 bits."""
    header, _ = container.parts(container.read(file), file)
    bits = Uniform(2).encode(0) + Uniform(8).encode(0) + EliasDelta().encode(1 << 3000)[:1000] + Bits("1" * 7)
    header["bits"] = len(bits)
    path = with_header(json.dumps(header, indent=1).encode(), tmp_path / "x.cert", bits.to_bytes())
    assert "describe no net" in verify(path).differences[0]


def test_fifty_thousand_copies_of_one_image_are_not_cifar10(tmp_path: Path) -> None:
    """Files of the right names and sizes: the sha256 of the images is what the name stands for."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    record = bytes([3]) + bytes(range(256)) * 12
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        (folder / name).write_bytes(record * 10_000)
    predictor = FloatPredictor("3-fc", 1, 3, (3, 32, 32), 10, (0, 0, 0), (1, 1, 1))
    arrays = {name: np.zeros(shape, np.float32) for name, shape in predictor.layout().items()}
    arrays["fc3.bias"][3] = 1
    with pytest.raises(InputError, match=r"not the ones of that name: their sha256 is [0-9a-f]{64}, expected f3120a"):
        issue(encode(predictor, arrays).bits, data.load("cifar10", folder=tmp_path))


def test_images_set_aside_are_billed_nowhere() -> None:
    arrays = {name: np.zeros(shape, np.float32) for name, shape in PREDICTOR.layout().items()}
    with pytest.raises(InputError, match="set aside"):
        issue(encode(PREDICTOR, arrays).bits, data.load("digits", validation=1, seed=0))


def test_a_delta_above_one_half_is_refused() -> None:
    arrays = {name: np.zeros(shape, np.float32) for name, shape in PREDICTOR.layout().items()}
    with pytest.raises(InputError, match=r"delta must lie in \(0, 0\.5\]"):
        issue(encode(PREDICTOR, arrays).bits, data.load("digits"), 0.51)
