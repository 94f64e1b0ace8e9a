"""Surface and round trip: a grid is trained once, a bad cell stops no other, and records hold what tables need."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from lcfs import cli
from lcfs.config import TrainConfig
from lcfs.errors import InputError
from lcfs.runs import Run
from studies.engine import records, study
from studies.engine.configurations import cell_name
from studies.engine.records import Record
from studies.engine.runner import run_cells
from studies.engine.scales import SCALES, SGD
from studies.engine.study import Cell

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # mlflow's own
SMOKE = SCALES["smoke"]


@pytest.fixture(autouse=True)
def _without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcfs.tracking.available", lambda: False)


def grid() -> list[Cell]:
    good = replace(SMOKE.config("s-conv", SGD, 0), epochs=2)
    bad = replace(good, seed=1, optimizer=replace(SGD, lr=1e30))
    return [Cell("good", good), Cell("bad", bad), Cell("good again", good)]


def test_cells_are_trained_once_and_a_bad_one_stops_no_other(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    found = run_cells(grid(), tmp_path, on_done=lambda record, done, of: seen.append((record.status, done, of)))
    assert sorted(record.status for record in found.values()) == ["diverged", "finished"]
    assert [(done, of) for _, done, of in seen] == [(1, 2), (2, 2)]
    bad = next(record for record in found.values() if record.status == "diverged")
    assert "loss is not finite" in bad.reason
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")}
    again = run_cells(grid(), tmp_path, on_done=lambda *_: pytest.fail("trained again"))
    assert again == found
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")} == times


def test_processes_of_their_own_give_the_same(tmp_path: Path) -> None:
    (here,) = run_cells(grid()[:1], tmp_path / "here").values()
    (there,) = run_cells(grid()[:1], tmp_path / "there", jobs=2).values()
    assert there.metrics == here.metrics


def test_an_interrupted_cell_is_resumed_and_a_failed_one_tried_again(tmp_path: Path) -> None:
    (cell, *_) = grid()
    (whole,) = run_cells([cell], tmp_path / "whole").values()
    stopped = Run.create(tmp_path / "stopped" / cell_name(cell.config), cell.config)  # killed before its first epoch
    stopped.write_summary({"status": "failed", "metrics": {}, "tags": {"reason": "disk full"}})
    (resumed,) = run_cells([cell], tmp_path / "stopped").values()
    assert resumed.metrics == whole.metrics
    assert resumed.epochs["train/loss"] == whole.epochs["train/loss"]


def test_missing_data_is_one_sentence_not_a_failed_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCFS_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    cell = Cell("cifar10", replace(SMOKE.config("s-conv", SGD, 0), data="cifar10"))
    with pytest.raises(InputError, match="cifar"):
        run_cells([cell], tmp_path / "runs")


def test_records_come_back(tmp_path: Path) -> None:
    (record,) = run_cells([grid()[0]], tmp_path / "runs").values()
    path = records.write(record, tmp_path / "records")
    assert records.read(tmp_path / "records") == [record]
    assert records.read(tmp_path / "records", lambda found: found.status != "finished") == []
    assert len(record.epochs["train/loss"]) == 2
    assert {"host", "pid"}.isdisjoint(record.environment)
    assert "data_dir" not in json.loads(path.read_text())["config"]


def test_estimates() -> None:
    found = records.estimate([1.0, 2.0, 4.0])
    assert (found.n, found.mean) == (3, pytest.approx(7 / 3))
    assert found.standard_error == pytest.approx(math.sqrt((16 / 9 + 1 / 9 + 25 / 9) / 2 / 3))
    assert f"{records.estimate([1.0]):.1f}" == "1.0"
    with pytest.raises(ValueError, match="at least one"):
        records.estimate([])


@pytest.mark.parametrize("name", study.names())
@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_every_study_states_its_claim_and_has_a_grid_at_every_scale(name: str, scale) -> None:
    found = study.find(name)
    assert found.claim
    assert found.expected
    if found.images_only and scale.data == "signals":
        with pytest.raises(InputError, match="do not take"):
            found.grid(scale)
        return
    cells = found.grid(scale)
    assert cells
    assert all(cell.config.data == scale.data for cell in cells)
    rows: dict[str, list[TrainConfig]] = {}
    for cell in cells:
        rows.setdefault(cell.row, []).append(replace(cell.config, seed=0))
    assert all(len(set(configs)) == 1 for configs in rows.values()), "a row is one training, over seeds"


def test_tables_leave_nothing_out() -> None:
    metrics = {"final/test_accuracy": 0.5, "final/train_error": 0.25, "final/weights": 10, "final/nonzeros": 4}
    record = Record("x", "finished", {}, metrics | {"final/nonzeros/fc1": 4, "bits/best": 99.0}, {}, {})
    other = Record("y", "finished", {}, {**record.metrics, "final/test_accuracy": 0.6}, {}, {})
    (table,) = study.find("sharing_and_locality").tables({"S-FC": [record, other]})
    assert table.rows == (("S-FC", "2", "55.00 ± 5.00", "25.00 ± 0.00", "10", "4", "4", "99"),)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = call(capsys, "study", "list")
    assert code == 0
    assert "sharing_and_locality" in out
    code, _, err = call(capsys, "study", "table1")
    assert code == 2
    assert "lcfs study list lists them" in err
    monkeypatch.setitem(SCALES, "smoke", replace(SMOKE, epochs=1, seeds=(0,)))
    folders = ("--runs", str(tmp_path / "runs"), "--records", str(tmp_path / "records"))
    code, out, _ = call(capsys, "study", "pixel_permutation", "--jobs", "1", *folders)
    assert code == 0
    assert "6/6" in out
    assert "S-CONV, SGD, permuted" in out
    assert len(list((tmp_path / "records").glob("*.json"))) == 6
