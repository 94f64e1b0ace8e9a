"""Negative controls: a worker that is killed takes no cell but its own along, and none outlives who started it."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lcfs.errors import InputError
from lcfs.runs.lock import training_lock
from studies.engine.configurations import cell_name
from studies.engine.executors import run_all
from studies.engine.refusals import Refusals
from studies.engine.runner import run_cells
from studies.engine.scales import SCALES, SGD
from studies.engine.study import Cell
from studies.engine.workers import WorkerDied

CONFIG = replace(SCALES["smoke"].config("s-conv", SGD, 0), epochs=2)


def die_or_write(path: str, threads: int) -> None:
    if path.endswith("bad"):
        os.kill(os.getpid(), signal.SIGKILL)
    Path(path).write_text(f"{os.getpid()} {threads}")


def test_one_that_is_killed_ends_no_study(tmp_path: Path) -> None:
    calls = {name: (str(tmp_path / name),) for name in ("one", "bad", "two", "three")}
    ended = dict(run_all(die_or_write, calls, "local", 2, tmp_path, threads=3))
    assert isinstance(error := ended.pop("bad"), WorkerDied)
    assert "ended by SIGKILL, as systems do that are short of memory" in str(error)
    assert set(ended.values()) == {None}
    said = [(tmp_path / name).read_text().split() for name in ended]
    assert {threads for _, threads in said} == {"3"}
    assert str(os.getpid()) not in {pid for pid, _ in said}


def write_and_sleep(path: str, threads: int) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_workers import write_and_sleep; from studies.engine.executors import run_all\n"
        "folder = Path(sys.argv[1])\n"
        "if __name__ == '__main__':\n"
        "    list(run_all(write_and_sleep, {n: (str(folder / n),) for n in 'ab'}, 'local', 2, folder))"
    )
    (tmp_path / "main.py").write_text(code)
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py", tmp_path, Path(__file__).parent])
    files = [tmp_path / name for name in "ab"]
    while not all(file.exists() and file.read_text() for file in files):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(_alive(int(file.read_text())) for file in files):
        assert time.monotonic() < deadline, "a worker trains on without its parent"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_cell_that_another_process_trains_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / cell_name(CONFIG)
    path.mkdir()
    other = replace(CONFIG, seed=1)
    seen: list[str] = []
    released = threading.Event()

    def on_done(record: object, done: int, of: int) -> None:
        seen.append(f"{record.name} {released.is_set()}")  # pyrefly: ignore
        held.set()

    held = threading.Event()

    def hold() -> None:
        with training_lock(path):
            ready.set()
            held.wait()  # until the other cell is done
        released.set()

    ready = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    records = run_cells([Cell("first", CONFIG), Cell("other", other)], tmp_path, on_done=on_done)
    thread.join()
    assert [record.status for record in records.values()] == ["finished", "finished"]
    assert seen == [f"{cell_name(other)} False", f"{cell_name(CONFIG)} True"]
    assert f"waiting for 1 runs that other processes train: {cell_name(CONFIG)}" in capsys.readouterr().out


def test_jobs_do_not_change_the_threads_of_a_cell(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    for jobs in (1, 2):
        (record,) = run_cells([Cell("x", CONFIG)], tmp_path / str(jobs), jobs=jobs, threads=1).values()
        assert record.environment["threads"] == 1
    assert torch.get_num_threads() == before


def test_a_cell_that_cannot_begin_stops_no_other_unless_it_is_in_the_way_of_all(tmp_path: Path) -> None:
    lost = replace(CONFIG, data=str(tmp_path / "lost.npz"))
    records = run_cells([Cell("lost", lost), Cell("good", CONFIG)], tmp_path / "runs")
    assert [record.status for record in records.values()] == ["open", "finished"]
    assert "lost.npz" in records[cell_name(lost)].reason
    refusals = Refusals()
    refusals.note(tmp_path / "a", InputError("no data"))
    with pytest.raises(InputError, match="no data"):
        refusals.note(tmp_path / "b", InputError("no data"))
