"""Surface: the commands as a user calls them, their exit codes, and one sentence for bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lcfs import cli, config
from lcfs.cli.progress import ProgressLine
from lcfs.training.watching import Progress


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def test_help_needs_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys, lcfs.cli\ntry: lcfs.cli.main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'mlflow') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.rstrip().endswith("[]")
    assert "train" in output


@pytest.mark.parametrize("command", ["demo", "train", "bound", "inspect", "data", "ui", "sync", "doctor"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, command, "--help")
    assert code == 0
    assert "usage" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "perhaps you meant train"),
        (["train", "s-fc-betalasso"], "perhaps you meant s-fc-beta-lasso"),
        (["train", "s-fc-sgd", "--optimizer.bta", "1"], "--optimizer.bta"),
        (["train", "s-fc-sgd", "--epochs", "many"], "--epochs"),
        (["train", "s-fc-sgd", "--epochs", "0"], "epochs must be at least 1"),
        (["train", "--resume", "nowhere"], "no config.json"),
        (["train", "s-fc-sgd", "--data", "cifar10", "--data-dir", "/nonexistent"], "cifar"),
        (["bound", "missing.pt", "--errors", "0.1", "--samples", "10"], "missing.pt"),
        (["bound", "missing.pt", "--errors", "1.5", "--samples", "10"], "--errors"),
        (["bound", "missing.pt", "--samples", "10"], "errors"),
        (["inspect", "missing.pt"], "missing.pt"),
        (["data", "imagenet"], "imagenet"),
        (["sync", "/nonexistent"], "/nonexistent"),
        (["train", "s-fc-sgd", "--optimizer.beta", "5"], "optimizer.beta belongs to beta-lasso"),
        (["train", "s-fc-sgd", "--seed", "-1"], "seed must lie in"),
        (["train", "s-fc-sgd", "--epochs", "many"], "expected a whole number, got 'many'"),
        (["train", "s-fc-sgd", "--optimizer.lr", "x"], "expected a number, got 'x'"),
        (["train", "s-fc-sgd", "--data", "digits", "--batch-size", "2000"], "a batch of 2,000 images"),
        (["study", "lambda_and_bta"], "perhaps you meant lambda_and_beta"),
        (["demo", "--seeds", "0"], "--seeds"),
        (["ui", ".", "--port", "99999"], "--port"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert words in err
    assert err.startswith("lcfs: ")
    assert err.count("\n") == 1, "one line"


def test_bound_of_a_strangers_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = torch.zeros(10, 100)
    weight[0, :3] = torch.tensor([0.5, 0.5, -2.0])
    torch.save({"state_dict": {"module.fc.weight": weight}}, tmp_path / "net.pth")
    code, out, _ = call(capsys, "bound", str(tmp_path / "net.pth"), "--errors", "0.1", "--samples", "50000", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["weights"], found["nonzeros"], found["distinct_values"], found["dense_bits"]) == (1000, 3, 2, 32_000)
    bits = {language["name"]: language["bits"] for language in found["languages"]}
    assert bits["dense"] == 32_000
    # kb + ‖w‖₀ log2(kn) + 2 log2 n with k = 2, n = 1000, b = 32
    assert bits["theorem2"] == pytest.approx(64 + 3 * 10.965784284662087 + 2 * 9.965784284662087)
    assert {bound["bound"] for bound in found["bounds"]} == {
        "theorem1",
        "theorem2",
        "occam_hoeffding",
        "occam_kl",
        "occam_binomial",
    }
    assert all(0.1 <= bound["value"] <= 1 for bound in found["bounds"])


def test_train_then_inspect_and_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "runs" / "one")
    code, out, _ = call(
        capsys, "train", "s-fc-beta-lasso", "--base-channels", "1", "--epochs", "2", "--run", run, "--no-track"
    )
    assert code == 0
    assert "epoch 2/2" in out
    assert "vacuous" in out
    code, out, _ = call(capsys, "inspect", run)
    assert code == 0
    assert "conv1.weight" in out
    assert "energy left over" in out
    assert (tmp_path / "runs" / "one" / "first_layer.png").exists()
    code, out, _ = call(capsys, "bound", run, "--errors", "0.5", "--samples", "1437", "--classes", "10")
    assert code == 0
    assert "theorem2" in out
    code, out, _ = call(capsys, "train", "--resume", run)
    assert code == 0
    assert "finished already" in out


@pytest.mark.parametrize(
    ("data", "batch_size", "crop", "flip"),
    [
        ("signals", 100, 0, False),
        ("digits", 64, 1, False),
        ("cifar10", 128, 4, True),
        ("svhn", 128, 4, False),
        ("own.npz", 100, 0, False),
    ],
)
def test_presets_fit_the_data_set(
    capsys: pytest.CaptureFixture[str], data: str, batch_size: int, crop: int, flip: bool
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "s-fc-sgd", "--data", data, "--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"(default: {batch_size})" in words
    assert f"0 for no crop. (default: {crop})" in words
    preset = config.presets(data)["s-fc-sgd"]
    assert (preset.data, preset.batch_size, preset.augment.crop, preset.augment.flip) == (data, batch_size, crop, flip)


def test_a_training_says_what_it_does_and_what_came_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "one")
    small = ["s-fc-sgd", "--data", "digits", "--base-channels", "1", "--epochs", "2", "--no-track", "--run", run]
    code, out, _ = call(capsys, "train", *small)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith(f"{run}: s-fc by sgd, 1,648 weights; 1,437 training images of digits; 2 epochs of 22 st")
    assert [line.split("  ")[0] for line in lines[1:3]] == ["epoch 1/2", "epoch 2/2"]
    assert "train accuracy" in lines[1]
    assert [line.split()[0] for line in lines[3:]] == ["test", "1,648", "shortest", "next:"]


def test_the_live_line_shows_steps_and_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for columns in (60, 80, 130):
        monkeypatch.setenv("COLUMNS", str(columns))
        line = ProgressLine(config.TrainConfig("s-fc"))
        line.step(Progress(0, 400, 195, 390, 1.25, 0.5, None, 12_345.6, 3_725.0))
        line.close()
        shown = capsys.readouterr().out.split("\x1b[K")[-1].rstrip()
        assert len(shown) < columns
        assert shown.startswith("epoch 1/400 [#####.....]  loss 1.2500")
        assert "1:02:05 left" in shown
        assert ("train accuracy 50.00 %" in shown) == (columns > 60)
        assert ("12,346 images/s" in shown) == (columns > 80)
