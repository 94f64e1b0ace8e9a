"""Round trip: stopping anywhere, even by SIGKILL, and resuming gives the weights of the run that was never stopped."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig, from_dict, to_dict
from lcfs.errors import InputError
from lcfs.runs import Run
from lcfs.training import epoch, loop
from lcfs.training.loop import Diverged, train

CONFIG = TrainConfig(
    "s-fc",
    base_channels=2,
    epochs=4,
    batch_size=128,
    dropout=0.1,
    checkpoint_seconds=0,
    optimizer=OptimizerConfig("beta-lasso", l1_conv=1e-3, l1_fc=1e-4, momentum=0.5, beta=5.0),
    augment=AugmentConfig(policy="trivial", crop=1, cutout=2),
)


def final_weights(path: Path) -> dict[str, Tensor]:
    state = Run.open(path).load_checkpoint()
    assert state is not None
    return state["model"]


def assert_same_weights(a: Path, b: Path) -> None:
    first, second = final_weights(a), final_weights(b)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


class _Stop(Exception):
    pass


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, precision="bf16"),
        replace(CONFIG, architecture="s-conv", precision="bf16", optimizer=OptimizerConfig("sgd", momentum=0.9)),
    ],
    ids=["fp32", "bf16", "sgd-bf16"],
)
def test_stopped_and_resumed_equals_never_stopped(tmp_path: Path, config: TrainConfig) -> None:
    whole = train(config, tmp_path / "whole")

    def stop(progress: loop.Progress) -> None:
        if progress.epoch == 2:
            raise _Stop

    with pytest.raises(_Stop):
        train(config, tmp_path / "stopped", on_epoch=stop)
    torch.manual_seed(12345)  # what other code drew meanwhile does not matter
    resumed = train(CONFIG, tmp_path / "stopped", resume=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped")
    assert resumed == whole
    assert [record["epoch"] for record in Run.open(tmp_path / "stopped").metrics()] == [1, 2, 3, 4]


@pytest.mark.parametrize("optimizer", [CONFIG.optimizer, OptimizerConfig("sgd", momentum=0.9)], ids=lambda o: o.name)
def test_a_run_in_bf16_keeps_float32_weights(tmp_path: Path, optimizer: OptimizerConfig) -> None:
    train(replace(CONFIG, precision="bf16", epochs=1, optimizer=optimizer), tmp_path / "run")
    state = Run.open(tmp_path / "run").load_checkpoint()
    assert state is not None
    values = [*state["model"].values(), *(v for s in state["optimizer"]["state"].values() for v in s.values())]
    assert {v.dtype for v in values if isinstance(v, Tensor) and v.is_floating_point()} == {torch.float32}
    weight = state["model"]["conv1.weight"]
    assert not torch.equal(weight, weight.bfloat16().float()), "they are the copies that the net computes with"


def test_killed_and_resumed_equals_never_stopped(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=40)
    code = (
        "import json, sys; from pathlib import Path; import torch; torch.set_num_threads(1);"
        "from lcfs.config import from_dict; from lcfs.training.loop import train;"
        "train(from_dict(json.loads(sys.argv[1])), Path(sys.argv[2]), resume=sys.argv[3] == 'resume')"
    )

    def start(path: Path, mode: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", code, json.dumps(to_dict(config)), str(path), mode])

    assert start(tmp_path / "whole", "new").wait() == 0
    victim = start(tmp_path / "killed", "new")
    while not (tmp_path / "killed" / "checkpoints" / "epoch-000003.pt").exists():
        assert victim.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    run = Run.open(tmp_path / "killed")
    assert run.summary() is None
    with (run.path / "metrics.jsonl").open("a") as handle:
        handle.write('{"epoch": 7, "train/lo')  # a line torn by the kill
    assert start(tmp_path / "killed", "resume").wait() == 0
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    assert [record["epoch"] for record in run.metrics()] == list(range(1, 41))
    assert len(run.checkpoints()) == 2


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(CONFIG, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    newest = run.checkpoints()[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    state = run.load_checkpoint()
    assert state is not None
    assert state["epoch"] == 3
    assert newest.name in capsys.readouterr().err


def test_what_a_run_ends_with(tmp_path: Path) -> None:
    config = replace(CONFIG, validation=200, permute_pixels=True)
    result = train(config, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    summary = run.summary()
    assert summary is not None
    assert summary["status"] == "finished"
    assert summary["metrics"]["final/test_accuracy"] == result.test_accuracy
    assert {"bits/dense", "bits/theorem2", "bound/dense/theorem1", "bound/theorem2/theorem2"} <= summary[
        "metrics"
    ].keys()
    assert all(0 <= record["validation/accuracy"] <= 1 for record in run.metrics())
    assert run.config() == config == from_dict(to_dict(config))
    assert result.report.samples == 1437 - 200
    state = final_weights(tmp_path / "run")
    for name, count in result.nonzeros.items():
        assert count == state[f"{name}.weight"].count_nonzero()
    assert run.metrics()[-1]["sparsity/conv1"] == result.nonzeros["conv1"] < result.weights["conv1"]


def test_it_learns(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=20, dropout=0, optimizer=OptimizerConfig("sgd", momentum=0.9))
    config = replace(config, augment=AugmentConfig(crop=0, flip=False))
    assert train(config, tmp_path / "run").test_accuracy > 0.9


def test_a_diverging_run_stops_with_a_sentence(tmp_path: Path) -> None:
    config = replace(CONFIG, optimizer=OptimizerConfig("sgd", lr=1e30))
    with pytest.raises(Diverged, match=r"lower --optimizer\.lr"):
        train(config, tmp_path / "run")
    summary = Run.open(tmp_path / "run").summary()
    assert summary is not None
    assert summary["status"] == "diverged"
    assert not Run.open(tmp_path / "run").checkpoints(), "garbage is not saved"


def test_a_run_directory_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="exists already"):
        train(CONFIG, tmp_path)
    with pytest.raises(InputError, match=r"no config\.json"):
        train(CONFIG, tmp_path, resume=True)


def test_cosine() -> None:
    assert epoch.cosine(0.1, 0, 100) == 0.1
    assert math.isclose(epoch.cosine(0.1, 50, 100), 0.05)
    assert epoch.cosine(0.1, 100, 100) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs"),
        ({"validation": 99999}, "validation"),
        ({"data": "cifar10", "data_dir": "/nonexistent"}, "cifar"),
        ({"architecture": "d-conv", "base_channels": 0}, "base_channels"),
    ],
)
def test_bad_configurations_leave_nothing_behind(tmp_path: Path, change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        train(replace(CONFIG, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("augment", [AugmentConfig(policy="nosuch"), AugmentConfig(crop=-1)])
def test_bad_augmentation_leaves_nothing_behind(tmp_path: Path, augment: AugmentConfig) -> None:
    with pytest.raises(InputError):
        train(TrainConfig("s-fc", 1, augment=augment), tmp_path / "run")
    assert not (tmp_path / "run").exists()
