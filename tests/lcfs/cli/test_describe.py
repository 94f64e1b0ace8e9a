"""Surface: a bound accounts for every number of a file, or says in one sentence why there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lcfs import cli

SAMPLES = ("--errors", "0.1", "--samples", "50000")


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"state_dict": {"w": torch.ones(9)}, "head": torch.ones(9)}, "head: 1 tensors of which it is not known"),
        ({"w": torch.empty(0), "b": torch.ones(9)}, "w: a placeholder of shape (0,)"),
        ({"w": torch.empty(9, device="meta"), "b": torch.ones(9)}, "w: a placeholder of shape (9,) on the meta device"),
    ],
)
def test_half_a_net_has_no_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], saved: dict[str, Any], words: str
) -> None:
    path = str(tmp_path / "net.pt")
    torch.save(saved, path)
    code, _, err = call(capsys, "bound", path, *SAMPLES)
    assert code == 2
    assert words in err
    assert "--exclude PATTERN" in err
    assert err.count("\n") == 1
    name = words.split(":")[0]
    assert call(capsys, "bound", path, *SAMPLES, "--exclude", name)[0] == 0
    code, out, _ = call(capsys, "inspect", path, "--json")
    assert code == 0
    assert [left["name"] for left in json.loads(out)["file"]["left_out"] if left["blocks"]] == [name]


def test_quantized_weights_are_billed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """262,144 weights of int8 with a float scale were "error at most 0.32" when integers were free."""
    levels = torch.randint(-128, 128, (512, 512), dtype=torch.int8)
    torch.save({"fc.weight": levels, "fc.scale": torch.ones(())}, tmp_path / "net.pt")
    code, out, _ = call(capsys, "bound", str(tmp_path / "net.pt"), *SAMPLES, "--json")
    found = json.loads(out)
    assert code == 0
    assert min(language["bits"] for language in found["languages"]) > 0.99 * 512 * 512 * 8
    assert all(bound["value"] > 0.9 for bound in found["bounds"])


def test_shapes_that_training_found_are_billed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"w": torch.ones(7, 100)}, tmp_path / "net.pt")
    bits = []
    for shapes in ("fixed", "billed"):
        _, out, _ = call(capsys, "bound", str(tmp_path / "net.pt"), *SAMPLES, "--shapes", shapes, "--json")
        bits.append({language["name"]: language["bits"] for language in json.loads(out)["languages"]})
    # Elias δ of 3, 8 and 101: two axes, seven and a hundred, all plus one
    assert bits[1]["dense"] - bits[0]["dense"] == 4 + 8 + 11


def test_a_folder_of_hugging_face_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    torch.save({"w": torch.ones(9)}, tmp_path / "pytorch_model.bin")
    assert call(capsys, "bound", str(tmp_path), *SAMPLES)[0] == 0
    (tmp_path / "pytorch_model.bin").unlink()
    code, _, err = call(capsys, "bound", str(tmp_path), *SAMPLES)
    assert code == 2
    assert "--resume" not in err
