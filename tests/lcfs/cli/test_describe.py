"""Surface: a bound accounts for every number of a file, or says in one sentence why there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lcfs import cli
from lcfs.cli import bound_report
from theory import bounds

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


def _net(tmp_path: Path, nonzeros: int) -> str:
    weight = torch.zeros(100, 100)
    weight.view(-1)[:nonzeros] = torch.randn(nonzeros)
    torch.save({"w": weight}, tmp_path / "net.pt")
    return str(tmp_path / "net.pt")


def test_a_count_and_a_share_of_errors_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, reports = _net(tmp_path, 100), []
    for errors in ("2500", "0.05", "5e-2"):
        reports.append(call(capsys, "bound", path, "--errors", errors, "--samples", "50000", "--json")[1])
    assert reports[0] == reports[1] == reports[2]
    found = json.loads(reports[0])
    assert found["errors"] == 2500
    values = {(bound["language"], bound["bound"]): bound["value"] for bound in found["bounds"]}
    bits = {language["name"]: language["bits"] for language in found["languages"]}
    assert values["best", "occam_binomial"] == bounds.occam_binomial(2500, bits["best"], 50_000)
    assert found["verdict"]["bound"] == min(values[key] for key in values if key[0] == "best")


def test_a_vacuous_bound_says_how_far_off_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--errors", "0", "--samples", "50000", "--classes", "10")
    code, out, _ = call(capsys, "bound", _net(tmp_path, 10_000), *arguments)
    lines = out.splitlines()
    assert code == 0
    # 166,092 bits at which (1 − 0.9)^50000 = 0.05 · 2^−bits
    assert "at 50,000 examples at most 166 kbit say more" in out
    assert sum("bit: vacuous, " in line for line in lines) == 1
    assert "no better than guessing until" in lines[-3]


def test_a_bound_that_says_something_ends_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _net(tmp_path, 100)
    held_out = ("--test-errors", "400", "--test-samples", "10000")
    code, out, _ = call(capsys, "bound", path, *SAMPLES, *held_out)
    assert code == 0
    assert "vacuous" not in out
    bound = bounds.test_set_bound(400, 10_000)
    printed = float(out.split("whatever the net's description: error at most ")[1].split(",")[0])
    assert bound <= printed < bound + 1e-4
    assert call(capsys, "bound", path, *SAMPLES, "--test-errors", "400")[0] == 2
    _, out, _ = call(capsys, "bound", path, *SAMPLES, *held_out, "--json")
    assert json.loads(out)["test_set_bound"] == bound


@pytest.mark.parametrize(
    ("errors", "samples", "words"),
    [
        ("many", "10", "a count such as 2500"),
        ("11", "10", "at most --samples"),
        ("-1", "10", "at most"),
        ("1.5", "9", "a share"),
    ],
)
def test_errors_out_of_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], errors: str, samples: str, words: str
) -> None:
    code, _, err = call(capsys, "bound", _net(tmp_path, 9), f"--errors={errors}", "--samples", samples)
    assert (code, words in err) == (2, True)


def test_inspect_says_which_tensor_pays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"small": torch.randn(10), "large": torch.randn(100, 10)}, tmp_path / "net.pt")
    _, out, _ = call(capsys, "inspect", str(tmp_path / "net.pt"))
    assert out.splitlines()[-1].startswith("large pays most: 9")


@given(st.floats(0, 1), st.integers(0, 10**15))
def test_printed_numbers_are_rounded_outward(share: float, number: int) -> None:
    assert share <= float(bound_report.up(share)) + 1e-12
    units = {"bits": 1, "kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9}
    for down in (False, True):
        text, unit = bound_report.size(number, down=down).replace(",", "").split()
        printed = float(text) * units[unit]
        slack = 1e-6 * number
        assert (printed <= number + slack) if down else (printed >= number - slack)
    about = bound_report.about(number)
    if "·" in about:
        digit, _, power = about.partition("·10")
        assert number <= int(digit) * 10 ** int(power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")))
    else:
        assert about == f"{number:,}"


def test_what_is_taken_for_granted_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = torch.randn(20, 20)
    state = {"a.weight_orig": weight, "a.weight_mask": torch.eye(20), "tied": weight, "x.lora_A": torch.ones(2, 2)}
    torch.save({**state, "model_ema.w": torch.ones(3)}, tmp_path / "net.pt")
    _, out, _ = call(capsys, "bound", str(tmp_path / "net.pt"), *SAMPLES)
    assert "a.weight: a.weight_orig × a.weight_mask" in out
    assert "an adapter: bounds hold only if" in out
    assert "model_ema.w looks like a moving average" in out
    assert "tied" not in out  # what is under a mask is not what it is tied to
    _, out, _ = call(capsys, "bound", str(tmp_path / "net.pt"), *SAMPLES, "--json")
    assert len(json.loads(out)["assumptions"]) == 3


def test_names_of_tensors_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"[/]x": torch.randn(9), "a\x1b[2J\nb": torch.randn(9)}}, tmp_path / "net.pt")
    code, out, _ = call(capsys, "inspect", str(tmp_path / "net.pt"))
    assert code == 0
    assert "[/]x" in out
    assert "a\\x1b[2J\\nb" in out
    assert "\x1b" not in out
    torch.save({"state_dict": {"w": torch.randn(9)}, "a\x1b[2J\nb": torch.randn(9)}, tmp_path / "net.pt")
    code, _, err = call(capsys, "bound", str(tmp_path / "net.pt"), *SAMPLES)
    assert (code, err.count("\n"), "\x1b" in err) == (2, 1, False)
