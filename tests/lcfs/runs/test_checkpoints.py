"""Round trip, and refusals: what is no checkpoint says so, and no file of a stranger runs code."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lcfs.errors import InputError
from lcfs.runs.checkpoints import load_state

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("key", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_usual_files(tmp_path: Path, suffix: str, legacy: bool, key: str | None, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in STATE.items()}
    saved = state if key is None else {key: state, "epoch": 3, "generator": torch.zeros(4, dtype=torch.uint8)}
    path = tmp_path / f"net{suffix}"
    torch.save(saved, path, _use_new_zipfile_serialization=not legacy)
    found = load_state(path)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "net.safetensors")
    assert torch.equal(load_state(tmp_path / "net.safetensors")["a.weight"], STATE["a.weight"])


class _Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_named_and_not_run(tmp_path: Path, legacy: bool) -> None:
    path, trace = tmp_path / "net.pt", tmp_path / "trace"
    torch.save({"state_dict": STATE, "x": _Attack(trace)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"posix\.system"):
        load_state(path)
    assert not trace.exists()


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pt")
    with pytest.raises(InputError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict"):
        load_state(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>404</html>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git-LFS pointer"),
        (b"PK\x03\x04 not really", "damaged"),
        (b"hello", "damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes, words: str, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_state(path)


def test_missing_folder_and_no_tensors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_state(tmp_path / "missing.pt")
    with pytest.raises(InputError, match="folder"):
        load_state(tmp_path)
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(InputError, match="no tensors"):
        load_state(tmp_path / "empty.pt")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_never_raises_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "net.pt"
    torch.save(STATE, path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        load_state(path)
    except InputError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
