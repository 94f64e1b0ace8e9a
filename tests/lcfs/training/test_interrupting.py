"""Round trip: Ctrl-C and SIGTERM lose nothing; what they leave resumes within the epoch to the weights of the whole."""

import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lcfs.config import AugmentConfig, OptimizerConfig, PruneConfig, TrainConfig
from lcfs.interrupts import Interrupted
from lcfs.runs import Run
from lcfs.training.loop import train
from lcfs.training.step import Step

CONFIG = TrainConfig(
    "s-fc",
    base_channels=2,
    epochs=3,
    batch_size=128,
    dropout=0.1,
    validation=100,
    optimizer=OptimizerConfig("beta-lasso", l1_conv=1e-3, l1_fc=1e-4, momentum=0.5, beta=5.0),
    augment=AugmentConfig(policy="trivial", crop=1, cutout=2),
)
STEPS = 1337 // 128  # of an epoch
PRUNED = replace(CONFIG, epochs=2, prune=PruneConfig(rounds=2, fraction=0.5, rewind_epoch=1))


def interrupt_at(patch: pytest.MonkeyPatch, step: int, number: int = signal.SIGINT) -> None:
    """Send this process a signal in its `step`-th step from now, counted from 1."""
    original, taken = Step.__call__, 0

    def call(self: Step, *arguments: Any) -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            signal.raise_signal(number)
        original(self, *arguments)

    patch.setattr(Step, "__call__", call)


def weights(path: Path) -> dict[str, torch.Tensor]:
    state = Run.open(path).load_checkpoint()
    assert state is not None
    return state["model"]


def measured(path: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k not in ("time", "train/seconds")} for record in Run(path).metrics()]


@pytest.mark.parametrize(
    ("config", "step", "left"),
    [
        (CONFIG, 4, "epoch-000000-step-000004.pt"),
        (CONFIG, STEPS + 3, "epoch-000001-step-000003.pt"),
        (CONFIG, STEPS, "epoch-000001.pt"),
        (replace(CONFIG, precision="bf16"), STEPS + 3, "epoch-000001-step-000003.pt"),
        (replace(CONFIG, compact=True, dropout=0.0), STEPS + 3, "epoch-000002.pt"),
        (PRUNED, 2 * STEPS + 3, "epoch-000002-step-000003.pt"),
    ],
    ids=["first epoch", "second epoch", "last step of an epoch", "bf16", "compact: at its end", "second round"],
)
def test_interrupted_and_resumed_equals_never_interrupted(
    tmp_path: Path, config: TrainConfig, step: int, left: str
) -> None:
    whole = train(config, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(Interrupted, match=r"interrupted after .*; go on with: lcfs train --resume .*run$"):
            train(config, tmp_path / "run")
    assert [file.name for file in Run(tmp_path / "run").checkpoints()] == [left]
    assert train(config, tmp_path / "run", resume=True) == whole
    assert measured(tmp_path / "whole") == measured(tmp_path / "run")
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_four_interruptions_in_a_row_each_get_further(tmp_path: Path) -> None:
    for resume in (False, True, True, True):
        with pytest.MonkeyPatch.context() as patch:
            interrupt_at(patch, 2, signal.SIGTERM)
            with pytest.raises(Interrupted) as caught:
                train(CONFIG, tmp_path / "run", resume=resume)
        assert caught.value.signum == signal.SIGTERM
    assert Run(tmp_path / "run").newest_checkpoint().name == "epoch-000000-step-000008.pt"


def test_handlers_of_signals_are_given_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(replace(CONFIG, epochs=1), tmp_path / "run")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# The command line

_ARGUMENTS = ["s-fc-sgd", "--no-track", "--base-channels", "2", "--epochs", "2000", "--device", "cpu", "--run"]


def start(*arguments: str, code: str = "from lcfs.cli.dispatch import main; main()") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def when_training(process: subprocess.Popen[str], path: Path) -> None:
    while not (path / "metrics.jsonl").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_the_command_line_ends_with_the_command_to_go_on(tmp_path: Path, number: int, code: int) -> None:
    path = tmp_path / "a run"
    process = start("train", *_ARGUMENTS, str(path))
    when_training(process, path)
    process.send_signal(number)
    errors = process.communicate()[1]
    assert process.returncode == code
    first, last = errors.splitlines()
    assert "a checkpoint is written; a second signal ends it at once" in first
    words = shlex.split(last.partition("go on with: ")[2])
    assert words == ["lcfs", "train", "--resume", str(path)]
    before = Run(path).newest_checkpoint()
    again = start(*words[1:])
    while Run(path).metrics()[-1]["epoch"] < int(before.name[6:12]) + 2:
        assert again.poll() is None, again.communicate()
        time.sleep(0.02)
    again.kill()
    again.communicate()


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Also while the checkpoint is being written, here for an hour."""
    code = (
        "import time; from lcfs.runs.run import Run; from lcfs.cli.dispatch import main\n"
        "Run.save_checkpoint = lambda *_: (print('writing', flush=True), time.sleep(3600))\n"
        "main()"
    )
    process = start("train", *_ARGUMENTS, str(tmp_path / "run"), "--checkpoint-seconds", "3600", code=code)
    when_training(process, tmp_path / "run")
    os.kill(process.pid, signal.SIGTERM)
    assert process.stdout is not None
    assert any("writing" in line for line in process.stdout)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    process.communicate()


def test_other_commands_name_themselves(tmp_path: Path) -> None:
    code = (
        "import signal; from lcfs.cli import dispatch\n"
        "dispatch.COMMANDS['study'] = lambda arguments: signal.raise_signal(signal.SIGTERM)\n"
        "dispatch.main(['study', 'scaling', '--runs', 'my runs'])"
    )
    process = start(code=code)
    assert process.communicate()[1] == "lcfs: interrupted; go on with: lcfs study scaling --runs 'my runs'\n"
    assert process.returncode == 143


def test_a_run_goes_on_with_the_threads_that_it_began_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            interrupt_at(patch, 2)
            with pytest.raises(Interrupted):
                train(replace(CONFIG, epochs=1, device="cpu"), tmp_path / "run")
    finally:
        torch.set_num_threads(before)
    seen: list[int] = []
    train(CONFIG, tmp_path / "run", resume=True, on_epoch=lambda progress: seen.append(torch.get_num_threads()))
    assert seen == [before + 1]
    assert f"goes on with {before + 1} threads, as it began, not {before}" in capsys.readouterr().err
    assert torch.get_num_threads() == before
