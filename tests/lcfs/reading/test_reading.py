"""Oracle: every kind of file gives the tensors that were put into it, and says what it does not give."""

from pathlib import Path

import corpus
import pytest
import torch
from corpus import READABLE, STATE, Readable
from safetensors.torch import save_file

from lcfs.errors import InputError
from lcfs.reading import load_state, read_state


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case.name)
def test_tensors_come_out_as_they_went_in(tmp_path: Path, case: Readable) -> None:
    path = tmp_path / "file.bin"  # names say nothing
    case.write(path)
    state = read_state(path)
    assert state.tensors.keys() == case.tensors.keys()
    for name, expected in case.tensors.items():
        found = state.tensors[name]
        assert (found.dtype, found.shape, found.layout) == (expected.dtype, expected.shape, expected.layout)
        assert _numbers(found) == _numbers(expected)
    assert tuple(left.name for left in state.left_out if left.blocks) == case.blocking
    assert set(case.stubs) <= set(state.stubs)
    assert case.stubs or state.stubs == ()


def _numbers(tensor: torch.Tensor) -> list[int]:
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    return tensor.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8).tolist()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("key", [None, "state_dict", "model", "model_state_dict", "state_dict.model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_usual_keys_and_prefixes(tmp_path: Path, legacy: bool, key: str | None, prefix: str) -> None:
    saved: dict[str, object] = {prefix + name: tensor for name, tensor in STATE.items()}
    for part in reversed(key.split(".") if key else []):
        saved = {part: saved, "epoch": 3, "generator": torch.zeros(4, dtype=torch.uint8)}
    torch.save(saved, tmp_path / "net.pt", _use_new_zipfile_serialization=not legacy)
    state = read_state(tmp_path / "net.pt")
    assert (state.key, state.tensors.keys()) == (key or "", STATE.keys())
    assert not any(left.blocks for left in state.left_out)


def test_a_key_and_a_pattern_choose(tmp_path: Path) -> None:
    ema = {name: tensor + 1 for name, tensor in STATE.items()}
    torch.save({"state_dict": STATE, "state_dict_ema": ema, "head": torch.ones(2)}, tmp_path / "net.pt")
    chosen = read_state(tmp_path / "net.pt", key="state_dict_ema")
    assert torch.equal(chosen.tensors["a.weight"], ema["a.weight"])
    assert not any(left.blocks for left in chosen.left_out)
    usual = read_state(tmp_path / "net.pt", exclude=("he*", "a.bias"))
    assert usual.tensors.keys() == {"a.weight"}
    assert {left.name: left.what for left in usual.left_out}["head"] == "excluded by he*"
    with pytest.raises(InputError, match="--exclude biaz is the pattern of no name"):
        read_state(tmp_path / "net.pt", exclude=("biaz",))
    with pytest.raises(
        InputError, match=r"nothing under the key 'x'; tensors stand under .'state_dict', 'state_dict_ema'"
    ):
        read_state(tmp_path / "net.pt", key="x")


def test_numbers_beside_tensors_are_numbers_of_the_net(tmp_path: Path) -> None:
    torch.save({"state_dict": {**STATE, "scale": 0.5, "zero": 3}, "temperature": 1.5, "epoch": 7}, tmp_path / "net.pt")
    assert read_state(tmp_path / "net.pt").numbers == {"scale": 0.5, "zero": 3, "temperature": 1.5}


def test_ties_are_kept_and_writing_does_not_reach_the_file(tmp_path: Path) -> None:
    weight = torch.ones(3)
    torch.save({"a": weight, "b": weight}, tmp_path / "net.pt")
    before = (tmp_path / "net.pt").read_bytes()
    state = load_state(tmp_path / "net.pt")
    state["a"] += 1
    assert state["b"].tolist() == [2, 2, 2]
    assert (tmp_path / "net.pt").read_bytes() == before


def test_a_folder_of_shards(tmp_path: Path) -> None:
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for name, key in zip(names, STATE, strict=True):
        save_file({key: STATE[key]}, tmp_path / name)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(f'{{"weight_map": {{"a.weight": "{names[0]}", "a.bias": "{names[1]}"}}}}')
    (tmp_path / "config.json").write_text("{}")  # Hugging Face's
    for path in (tmp_path, index):
        assert load_state(path).keys() == STATE.keys()
    alone = read_state(tmp_path / names[0])
    assert [left.what for left in alone.left_out if left.blocks] == [
        "shard 1 of 2: the others are missing; name the folder or its index"
    ]
    (tmp_path / names[1]).unlink()
    with pytest.raises(InputError, match="1 of 2 shards are missing"):
        load_state(tmp_path)


@pytest.mark.parametrize(
    ("path", "words"),
    [("../x", "outside its folder"), ("/etc/passwd", "outside its folder"), (3, "outside its folder")],
)
def test_an_index_names_files_of_its_folder(tmp_path: Path, path: object, words: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(corpus.json.dumps({"weight_map": {"w": path}}))
    with pytest.raises(InputError, match=words):
        load_state(index)


def test_folders_of_other_programs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a run nor one with a model"):
        load_state(tmp_path)
    (tmp_path / ".metadata").write_bytes(b"x")
    with pytest.raises(InputError, match="dcp_to_torch"):
        load_state(tmp_path)


@pytest.mark.parametrize("name", ["consolidated.01.pth", "mp_rank_01_model_states.pt"])
def test_the_part_of_one_process(tmp_path: Path, name: str) -> None:
    torch.save(STATE, tmp_path / name)
    assert any("one process" in left.what for left in read_state(tmp_path / name).left_out if left.blocks)
