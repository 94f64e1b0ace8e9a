"""Studies in the mirror: one parent a launch, one run a cell and study, what killed launches and dead servers leave."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _mirrored import add_epoch, client, finish, make_run

from lcfs import tracking
from lcfs.runs.launch import DataMark, Launch, LaunchedCell, launch_of, read_launch, write_launch
from lcfs.tracking import _view

pytest.importorskip("mlflow")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mlflow's own and its dependencies'
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sqlite connections of its pools
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MARK = DataMark("digits", "training", 1437, "0123456789abcdef" * 4)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for all tests, whose studies have the names of their folders: the migration takes seconds."""
    uri = tracking.default_uri(tmp_path_factory.mktemp("store"))
    tracking.prepare(uri)
    return uri


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def a_launch(study: str, cells: dict[str, str], trained: tuple[str, ...], started: float, **others: Any) -> Launch:
    """`cells`: the β of each run directory."""
    launched = {name: LaunchedCell(f"β = {beta}", {"optimizer.beta": beta}) for name, beta in cells.items()}
    return Launch(
        launch_id=f"{study}-{started}",
        study=study,
        scale="smoke",
        claim="more β, fewer weights",
        item="Table 2",
        expected="0 < 50",
        cells=launched,
        trained=trained,
        data=(MARK,),
        started=started,
        host=socket.gethostname(),
        **{"pid": os.getpid(), **others},
    )


def start(runs: Path, launch: Launch) -> Path:
    folder = runs / "launches" / launch.launch_id
    write_launch(folder, launch)
    return folder


def shown(uri: str, study: str) -> dict[str, Any]:
    """The runs of a study's experiment by name; that each is there once is part of every test."""
    experiment = client(uri).get_experiment_by_name(f"{study} (smoke)")
    runs = client(uri).search_runs([experiment.experiment_id])
    found = {run.info.run_name: run for run in runs}
    assert len(found) == len(runs)
    return found


def test_a_cell_of_two_studies_is_one_run_in_each(uri: str, tmp_path: Path) -> None:
    one, two = f"one-{tmp_path.name}", f"two-{tmp_path.name}"
    for name in ("a", "b"):
        finish(make_run(tmp_path / name))
    first = start(tmp_path, a_launch(one, {"a": "0", "b": "50"}, ("a", "b"), 1e9, status="finished", ended=1e9 + 9))
    start(tmp_path, a_launch(two, {"b": "50"}, (), 2e9, status="unfinished", ended=2e9 + 9))
    (first / "artifacts").mkdir()
    (first / "artifacts" / "table-1.csv").write_text("net,n\n")
    for lost in (False, False, True):
        if lost:
            for state in tmp_path.rglob("mlflow.json"):
                state.unlink()
        assert [result.error for result in tracking.sync(tmp_path, uri)] == [None, None]
        assert set(shown(uri, one)) == {f"launch of {one}", "β = 0", "β = 50"}
        assert set(shown(uri, two)) == {f"launch of {two}", "β = 50"}
    parent, cell = shown(uri, one)[f"launch of {one}"], shown(uri, one)["β = 50"]
    assert cell.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert cell.data.tags["lcfs.run"] == "b"
    assert cell.data.params == {"optimizer.beta": "50"}
    assert cell.data.metrics["final/test_accuracy"] == 0.75
    assert len(client(uri).get_metric_history(cell.info.run_id, "train/loss")) == 3
    assert [file.path for file in client(uri).list_artifacts(cell.info.run_id)] == ["config.json", "summary.json"]
    assert "nonfinite/bound/theorem1" not in cell.data.tags, "of the bounds two are compared"
    assert [file.path for file in client(uri).list_artifacts(parent.info.run_id)] == ["table-1.csv"]
    (data,) = cell.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("digits, training", MARK.fingerprint[:36])
    assert json.loads(data.dataset.profile)["sha256 of shape, pixels, labels"] == MARK.fingerprint
    assert parent.data.tags["claim"] == "more β, fewer weights"
    assert [parent.info.status, shown(uri, two)[f"launch of {two}"].info.status] == ["FINISHED", "FAILED"]
    assert client(uri).get_experiment_by_name("train-digits") is None


def test_a_cell_belongs_to_the_launch_that_trained_it(uri: str, tmp_path: Path) -> None:
    study = tmp_path.name
    finish(make_run(tmp_path / "a"))
    make_run(tmp_path / "b")
    cells = {"a": "0", "b": "50"}
    start(tmp_path, a_launch(study, cells, ("a", "b"), 1e9, status="interrupted", ended=1e9 + 9))
    tracking.sync(tmp_path, uri)
    start(tmp_path, a_launch(study, cells, ("b",), 2e9))
    finish(tmp_path / "b")
    tracking.sync(tmp_path, uri)
    tracking.sync(tmp_path, uri)
    experiment = client(uri).get_experiment_by_name(f"{study} (smoke)").experiment_id
    runs = client(uri).search_runs([experiment])
    parents = {run.data.tags["lcfs.launch_id"]: run for run in runs if run.data.tags["lcfs.kind"] == "launch"}
    assert [run.info.status for run in parents.values()].count("KILLED") == 1
    children = {run.data.tags["lcfs.run"]: run for run in runs if run.data.tags["lcfs.kind"] == "cell"}
    assert len(runs) == 4
    for name, started in (("a", 1e9), ("b", 2e9)):
        assert children[name].data.tags["mlflow.parentRunId"] == parents[f"{study}-{started}"].info.run_id


def test_launches_of_a_cell() -> None:
    first, second = a_launch("s", {"a": "0", "b": "1"}, ("a",), 1.0), a_launch("s", {"a": "0"}, ("a",), 2.0)
    assert launch_of("a", [second, first]) is second
    assert launch_of("b", [second, first]) is first
    assert launch_of("a", [replace(second, trained=()), first]) is first
    assert launch_of("c", [first, second]) is None


def test_a_killed_launch_and_its_killed_cell_are_shown_as_killed(uri: str, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    finish(make_run(tmp_path / "a", pid=child.pid))
    make_run(tmp_path / "b", pid=child.pid)
    start(tmp_path, a_launch(tmp_path.name, {"a": "0", "b": "50", "c": "1"}, ("a", "b", "c"), 1e9, pid=child.pid))
    tracking.sync(tmp_path, uri)
    status = {name: run.info.status for name, run in shown(uri, tmp_path.name).items()}
    assert status == {f"launch of {tmp_path.name}": "KILLED", "β = 0": "FINISHED", "β = 50": "KILLED"}


def until(condition: Any) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("nothing happened in a minute")


def test_a_launch_is_mirrored_while_it_runs(uri: str, tmp_path: Path) -> None:
    study, name = tmp_path.name, f"launch of {tmp_path.name}"
    folder = start(tmp_path, a_launch(study, {"a": "0", "b": "50", "c": "1"}, ("a", "b", "c"), time.time() - 60))
    make_run(tmp_path / "a", epochs=1)
    mirror = tracking.LaunchMirror(folder, uri, interval_s=0.05)
    until(lambda: client(uri).get_experiment_by_name(f"{study} (smoke)") and "β = 0" in shown(uri, study))
    assert [shown(uri, study)[one].info.status for one in (name, "β = 0")] == ["RUNNING", "RUNNING"]
    add_epoch(tmp_path / "a", 1)
    until(lambda: shown(uri, study)["β = 0"].data.metrics["train/loss"] == 0.5)
    finish(tmp_path / "a")
    mirror.over("a")
    make_run(tmp_path / "b", epochs=1)
    until(lambda: "β = 50" in shown(uri, study) and shown(uri, study)["β = 0"].info.status == "FINISHED")
    write_launch(folder, replace(read_launch(folder), status="interrupted", ended=time.time()))
    assert mirror.close() is None
    status = {name: run.info.status for name, run in shown(uri, study).items()}
    assert status == {name: "KILLED", "β = 0": "FINISHED", "β = 50": "KILLED"}


def test_a_dead_server_costs_nothing_and_sync_fills_the_gap(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    finish(make_run(tmp_path / "a"))
    folder = start(tmp_path, a_launch(tmp_path.name, {"a": "0"}, ("a",), 1e9, status="finished", ended=1e9 + 9))
    mirror = tracking.LaunchMirror(folder, "http://127.0.0.1:9")
    mirror.over("a")
    assert mirror.close()
    assert tracking.sync(tmp_path, uri) == [tracking.SyncResult(tmp_path / "a", 3)]
    assert tracking.sync(tmp_path, uri) == [tracking.SyncResult(tmp_path / "a", 0)]
    assert set(shown(uri, tmp_path.name)) == {f"launch of {tmp_path.name}", "β = 0"}


def test_a_damaged_launch_keeps_back_no_run(uri: str, tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    folder = start(tmp_path, a_launch(tmp_path.name, {"a": "0"}, ("a",), 1e9))
    (folder / "launch.json").write_text("{")
    damaged, run = tracking.sync(tmp_path, uri)
    assert damaged.run == folder
    assert "delete its folder" in str(damaged)
    assert run == tracking.SyncResult(tmp_path / "a", 3)


def test_the_view_shows_what_is_swept(uri: str, tmp_path: Path) -> None:
    launch = a_launch(tmp_path.name, {"a": "0", "b": "50"}, (), 1e9, status="finished", ended=1e9)
    start(tmp_path, launch)
    make_run(tmp_path / "a")
    tracking.sync(tmp_path, uri)
    experiment = client(uri).get_experiment_by_name(launch.experiment)
    text = experiment.tags[_view.TAG]
    assert len(text) <= 5000
    view = json.loads(text)
    assert {"metrics.`final/test_accuracy`", "params.`optimizer.beta`"} <= set(view["selectedColumns"])
    parallel = [card["selectedParams"] for card in view["compareRunCharts"] if card["type"] == "PARALLEL"]
    assert parallel == [["optimizer.beta"], ["row"]]
    matching = client(uri).search_runs([experiment.experiment_id], view["searchFilter"])
    assert [run.info.run_name for run in matching] == ["β = 0"]
    url = tracking.study_urls(uri, "http://127.0.0.1:5000")[launch.experiment]
    assert url.startswith(f"http://127.0.0.1:5000/#/experiments/{experiment.experiment_id}/runs?")
    assert url.endswith("viewStateShareKey=lcfs")


def test_no_run_is_missing_from_the_first_chart_of_a_view() -> None:
    """MLflow draws no run that lacks one of a chart's fields."""
    cells = [{"row": "SGD", "architecture": "s-fc"}, {"row": "β", "architecture": "s-fc", "optimizer.beta": "1"}]
    cells.append({**cells[1], "row": "more β", "optimizer.beta": "2"})
    view = json.loads(_view.view(cells, 0))
    charts = [card["selectedParams"] for card in view["compareRunCharts"] if card["type"] == "PARALLEL"]
    assert charts == [["row"], ["optimizer.beta"]]
    assert "params.`architecture`" not in view["selectedColumns"], "the same for all"
    packed = view["state"].removeprefix("deflate;")
    unpacked = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert unpacked.items() <= view.items()


def test_launches_come_back(tmp_path: Path) -> None:
    launch = a_launch("study", {"a": "0"}, ("a",), 1e9, status="finished", ended=1e9 + 1)
    write_launch(tmp_path, launch)
    assert read_launch(tmp_path) == launch
    assert launch.experiment == "study (smoke)"
