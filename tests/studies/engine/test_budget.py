"""Oracle: what still fits into the hours, what a run has cost, and that nothing begins or goes on after them."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from lcfs.config import to_dict
from lcfs.runs import Run
from studies.engine import command, runner
from studies.engine.budget import Budget, OutOfTime
from studies.engine.configurations import cell_name
from studies.engine.records import Record, read
from studies.engine.runner import run_cells, train_cell
from studies.engine.scales import SCALES, SGD
from studies.engine.study import Cell
from studies.grids import full_width

SMOKE = SCALES["smoke"]
CONFIG = replace(SMOKE.config("s-fc", SGD, 0), epochs=2)


@pytest.fixture(autouse=True)
def _without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcfs.tracking.available", lambda: False)


def record(seconds: float, status: str = "finished") -> Record:
    epochs = {"train/seconds": [seconds / 2, seconds / 2]}
    return Record("run", status, to_dict(CONFIG), {"final/test_accuracy": 0.5}, epochs, {})


def test_a_training_begins_only_if_its_time_is_left() -> None:
    long, done = replace(CONFIG, epochs=4000), [record(2.0)]  # a second an epoch
    assert Budget(time.time() + 4100).allows(long, done)
    assert not Budget(time.time() + 3900).allows(long, done)
    assert Budget(time.time() + 3900).allows(replace(long, base_channels=9), done), "another net"
    assert Budget(time.time() + 3900).allows(long, [record(2.0, "failed")]), "nothing to judge by"
    assert not Budget(time.time() - 1).allows(long, [])
    assert Budget.starting_now(None).allows(long, done)


def test_seconds_and_cost() -> None:
    priced = Budget.starting_now(1.0, 4.0).priced(record(1800.0))
    assert (priced.metrics["final/seconds"], priced.metrics["final/cost"]) == (1800, 2)
    assert "final/cost" not in Budget().priced(record(1800.0)).metrics


@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_begins_after_the_hours(tmp_path: Path, jobs: int) -> None:
    cells = [Cell("S-FC", replace(CONFIG, seed=seed)) for seed in range(3)]
    results = run_cells(cells, tmp_path, jobs=jobs, budget=Budget(time.time() - 1))
    assert [run.status for run in results.values()] == ["open"] * 3
    assert not list(tmp_path.iterdir())


def test_a_training_that_is_cut_off_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    path = tmp_path / "cut" / cell_name(CONFIG)
    cut = replace(CONFIG, checkpoint_seconds=0)
    with pytest.raises(OutOfTime, match="epoch 1 of 2"):
        train_cell(to_dict(cut), str(path), time.time(), 0)
    assert Run.open(path).summary() is None
    (whole,) = run_cells([Cell("S-FC", CONFIG)], tmp_path / "whole").values()
    (continued,) = run_cells([Cell("S-FC", CONFIG)], tmp_path / "cut").values()
    assert continued.metrics == whole.metrics


def test_a_cut_off_training_is_open_and_leaves_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "allows", lambda *_: True)
    monkeypatch.setitem(SCALES, "smoke", replace(SMOKE, epochs=2))
    order = command.Order("full_width", "smoke", jobs=1, runs=tmp_path, records=tmp_path / "records")
    assert command.run(replace(order, budget=Budget(time.time() - 1))) == 1
    assert not read(tmp_path / "records") or all(run.config["epochs"] == 1 for run in read(tmp_path / "records"))
    assert command.run(replace(order, budget=Budget.starting_now(1.0, 3.0))) == 0
    runs = read(tmp_path / "records")
    assert len(runs) == 6
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json") if "launches" not in path.parts}
    assert command.run(order) == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times, "without a price the cost stays"


def test_a_run_whose_recorded_steps_fail_on_a_gpu_goes_on_with_ordinary_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[bool] = []

    def fails_with_graphs(config: dict, path: str, deadline: float, threads: int) -> None:
        attempts.append(config["recorded_steps"])
        if not config["recorded_steps"]:
            return train_cell(config, path, deadline, threads)
        run = Run.create(Path(path), replace(CONFIG))
        run.write_summary({"status": "failed", "metrics": {}, "tags": {"reason": "capture failed"}})
        raise RuntimeError("capture failed")

    monkeypatch.setattr(runner, "train_cell", fails_with_graphs)
    (failed,) = run_cells([Cell("S-FC", CONFIG)], tmp_path / "without a GPU").values()
    assert (failed.status, attempts) == ("failed", [True]), "negative control"
    monkeypatch.setattr(runner, "_blames_gpu", lambda record: record.status == "failed")
    (finished,) = run_cells([Cell("S-FC", CONFIG)], tmp_path / "with one").values()
    assert (finished.status, attempts[1:]) == ("finished", [True, False])
    assert not finished.config["recorded_steps"]


def test_a_cell_never_continues_another_training(tmp_path: Path) -> None:
    from lcfs.errors import InputError

    Run.create(tmp_path / cell_name(CONFIG), replace(CONFIG, epochs=3))
    with pytest.raises(InputError, match="another training"):
        run_cells([Cell("S-FC", CONFIG)], tmp_path)


def test_the_headline_is_the_first_and_its_long_form_the_last() -> None:
    first, *_, last = (cell.config for cell in full_width.cells(SCALES["paper"]))
    assert (first.architecture, first.base_channels, first.batch_size, first.epochs) == ("s-fc", 150, 512, 400)
    assert (first.optimizer.l1_conv, first.optimizer.l1_fc, first.optimizer.beta) == (2e-5, 5e-6, 50)
    assert last == replace(first, epochs=4000)


def test_one_recipe_is_the_papers_and_the_public_attempt_differs_in_cutout_alone() -> None:
    paper, attempt = SCALES["paper"], SCALES["public-attempt"]
    assert (paper.augment.policy, paper.augment.crop, paper.augment.flip) == ("fa-cifar10", 4, True)
    assert (paper.augment.cutout, attempt.augment.cutout) == (0, 16)
    same = replace(attempt, name="paper", augment=replace(attempt.augment, cutout=0))
    assert same == paper
