"""Round trip: a run directory survives kills at any point, damage, odd lines and a second writer."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lcfs.config import OptimizerConfig, TrainConfig
from lcfs.errors import InputError
from lcfs.runs import Run
from lcfs.runs.checksums import check_checksums
from lcfs.runs.lock import Busy, training_lock
from lcfs.runs.metrics import read_records
from lcfs.training.loop import train

CONFIG = TrainConfig(
    "3-fc", base_channels=8, epochs=3, batch_size=256, checkpoint_seconds=0, optimizer=OptimizerConfig(momentum=0.9)
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "run"
    train(CONFIG, path)
    return path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Run:
    """A copy that was stopped after its last checkpoint, before its summary."""
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    return Run.open(tmp_path / "run")


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path / "checkpoints" / "epoch-000003.pt", weights_only=True)["model"]


# Damaged checkpoints


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _without_central_directory(path: Path) -> None:
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\x01\x02")
    content[start : start + 4] = b"\0\0\0\0"
    path.write_bytes(content)


def _flip_in_a_tensor(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + 200 + largest.file_size // 2] ^= 16
    path.write_bytes(content)


def _without_keys(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save({key: state[key] for key in ("epoch", "model")}, path)


def _of_other_shapes(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    state["model"] = {name: tensor[..., :-1] if tensor.ndim else tensor for name, tensor in state["model"].items()}
    torch.save(state, path)


def _momentum_of_another_shape(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    entry = state["optimizer"]["state"][0]
    entry["momentum_buffer"] = entry["momentum_buffer"][:-1]
    torch.save(state, path)


def _of_an_impossible_epoch(path: Path) -> None:
    torch.save(torch.load(path, weights_only=True) | {"epoch": 77}, path)


def _a_list(path: Path) -> None:
    torch.save([1, 2], path)


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")


DAMAGES = [
    _cut, _without_central_directory, _flip_in_a_tensor, _without_keys, _of_other_shapes, _momentum_of_another_shape,
    _of_an_impossible_epoch, _a_list, _a_folder,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    run: Run, finished: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    newest = run.newest_checkpoint()
    damage(newest)
    before = (newest / "thesis.tex").read_text() if newest.is_dir() else newest.read_bytes()
    train(CONFIG, run.path, resume=True)
    assert newest.name in capsys.readouterr().err
    expected, result = weights(finished), weights(run.path)
    assert all(torch.equal(expected[name], result[name]) for name in expected)
    aside = newest.with_name(newest.name + ".damaged")
    assert (aside / "thesis.tex").read_text() if aside.is_dir() else aside.read_bytes() == before, "nothing is removed"


def test_without_a_usable_checkpoint_it_says_so_and_moves_nothing(run: Run) -> None:
    for path in run.checkpoints():
        _without_keys(path)
    with pytest.raises(InputError, match=r"no checkpoint of .* can be used"):
        train(CONFIG, run.path, resume=True)
    assert len(run.checkpoints()) == 2


def test_every_flipped_bit_of_a_member_is_noticed(run: Run) -> None:
    path = run.newest_checkpoint()
    check_checksums(path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    for member in members:
        if member.file_size:
            flipped = bytearray(content)
            header = member.header_offset
            extra = int.from_bytes(content[header + 26 : header + 28], "little") + int.from_bytes(
                content[header + 28 : header + 30], "little"
            )
            flipped[header + 30 + extra + member.file_size // 2] ^= 1
            path.write_bytes(flipped)
            with pytest.raises(InputError, match="damaged"):
                check_checksums(path)


# Kills between mkdir and the first checkpoint, leftovers of killed writers

_KILLED = """
import os, signal, sys
from pathlib import Path
from lcfs.runs import run as module
from lcfs.runs import Run
from lcfs.config import TrainConfig
calls = 0
def killing(original):
    def f(*args, **kwargs):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    return f
for name in ("make_folder", "remove_leftovers", "write_text_atomically", "to_dict"):
    setattr(module, name, killing(getattr(module, name)))
Run.create(Path(sys.argv[1]), TrainConfig("3-fc"))
"""


@pytest.mark.parametrize("point", [2, 3, 4, 5])
def test_a_creation_that_was_killed_is_taken_for_nothing(tmp_path: Path, point: int) -> None:
    path = tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path), str(point)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.is_dir()
    assert not (path / "config.json").exists()
    with pytest.raises(InputError, match=r"no config\.json"):
        Run.open(path)
    assert Run.create(path, CONFIG).config() == CONFIG


def test_what_is_not_ours_is_never_taken_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text("{}")
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="exists already"):
        Run.create(tmp_path, CONFIG)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_temporary_files_of_killed_writers_are_removed_and_those_of_living_ones_stay(run: Run) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from lcfs.runs import atomic\n"
        "with atomic._temporary(Path(sys.argv[1])) as (handle, temporary):\n"
        "    handle.write(b'half a checkpoint'); handle.flush(); print('writing', flush=True); sys.stdin.read()"
    )
    target = run.path / "checkpoints" / "epoch-000003.pt"
    living = subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert living.stdout is not None
    assert living.stdin is not None
    living.stdout.readline()
    (dead,) = target.parent.glob(".*.tmp")
    copies = [target.with_name(".epoch-000003.pt.1.tmp"), run.path / ".summary.json.1-a.tmp"]
    for copy in copies:
        copy.write_bytes(dead.read_bytes())
    run.prepare_for_training()
    assert dead.exists(), "its writer lives"
    assert not any(copy.exists() for copy in copies)
    living.kill()
    living.wait()
    living.stdin.close()
    living.stdout.close()
    run.prepare_for_training()
    assert not dead.exists()


# Two writers


def test_one_process_trains_a_run_at_a_time_and_one_that_dies_frees_it(run: Run) -> None:
    code = (
        "import sys; from pathlib import Path; from lcfs.runs.lock import training_lock\n"
        "with training_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    before = {file.name: file.stat().st_mtime_ns for file in run.path.iterdir()}
    with pytest.raises(Busy, match=f"being trained by process {holder.pid} on "):
        train(CONFIG, run.path, resume=True)
    assert {file.name: file.stat().st_mtime_ns for file in run.path.iterdir()} == before
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    train(CONFIG, run.path, resume=True)
    with training_lock(run.path):
        pass


def test_a_failed_attempt_is_forgotten_when_the_run_goes_on(run: Run) -> None:
    run.write_summary({"status": "failed", "metrics": {}, "tags": {}})
    train(CONFIG, run.path, resume=True)
    summary = run.summary()
    assert summary is not None
    assert summary["status"] == "finished"


# Odd lines

ODD = [
    b"5",
    b"{}",
    b'{"epoch": "3"}',
    b'{"epoch": 2, "train/loss": "low"}',
    b'{"epoch": -1}',
    b"\xff\xfe",
    b"null",
    b"[1]",
]


def test_odd_lines_of_metrics_jsonl_are_left_out(run: Run) -> None:
    file = run.path / "metrics.jsonl"
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([*ODD, *lines[:2], *ODD, lines[2]]))
    assert [record["epoch"] for record in read_records(file)] == [1, 2, 3]
    train(CONFIG, run.path, resume=True)
    assert run.metrics() == [json.loads(line) for line in lines]
