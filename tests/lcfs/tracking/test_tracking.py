"""The mirror against real sqlite stores: what arrives, what is not sent twice, and what happens when things break."""

import json
import math
import multiprocessing
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from _mirrored import add_epoch, client, finish, history, make_run, mirrored

from lcfs import tracking

pytest.importorskip("mlflow")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mlflow's own and its dependencies'
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sqlite connections of its pools
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for all tests, whose runs differ by uuid: the migration takes seconds."""
    uri = tracking.default_uri(tmp_path_factory.mktemp("store"))
    tracking.prepare(uri)
    return uri


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_everything_of_a_run_directory_arrives(uri: str, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    (path / "artifacts").mkdir()
    (path / "artifacts" / "filters.png").write_bytes(b"png")
    mirror = tracking.Mirror(path, uri, "arrives")
    mirror.update()
    assert mirrored(uri, path).info.status == "RUNNING"
    finish(path)
    mirror.close()
    assert mirror.failed is None
    run = mirrored(uri, path)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"data": "digits", "optimizer.beta": "50.0", "optimizer.l1": "1e-05"}
    assert run.data.metrics == {"train/loss": 1 / 3, "final/test_accuracy": 0.75}
    assert history(uri, path) == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
    expected = {"lcfs.versions.torch": "2.13", "lcfs.pid": str(os.getpid()), "note": "a test"}
    assert expected.items() <= run.data.tags.items()
    assert [file.path for file in client(uri).list_artifacts(run.info.run_id)] == ["filters.png"]
    assert Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts" in Path(run.info.artifact_uri[7:]).parents


@pytest.mark.parametrize(("status", "mlflow_status"), [("diverged", "FAILED"), ("interrupted", "KILLED")])
def test_other_ends(uri: str, tmp_path: Path, status: str, mlflow_status: str) -> None:
    path = make_run(tmp_path / "run")
    finish(path, status)
    tracking.sync(tmp_path, uri)
    assert mirrored(uri, path).info.status == mlflow_status


@pytest.mark.parametrize("damage", ["none", "lost", "broken off", "garbage"])
def test_nothing_is_sent_twice(uri: str, tmp_path: Path, damage: str) -> None:
    path = make_run(tmp_path / "run")
    finish(path)
    assert tracking.sync(tmp_path, uri) == [tracking.SyncResult(path, 3)]
    state = path / "mlflow.json"
    if damage == "lost":
        state.unlink()
    elif damage == "broken off":  # killed between the first metric sent and the state written
        ((experiment, sent),) = json.loads(state.read_text()).items()
        state.write_text(json.dumps({experiment: {**sent, "lines": None, "summary": None}}))
    elif damage == "garbage":
        state.write_text("{")
    assert tracking.sync(tmp_path, uri) == [tracking.SyncResult(path, 0)]
    assert history(uri, path) == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
    assert len(history(uri, path, "final/test_accuracy")) == 1
    add_epoch(path, 3)
    assert tracking.sync(tmp_path, uri) == [tracking.SyncResult(path, 1)]


def test_a_repeated_epoch(uri: str, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", epochs=1)
    add_epoch(path, 0, loss=7.0)  # neither was sent: the last counts
    mirror = tracking.Mirror(path, uri, "repeated")
    mirror.update()
    assert history(uri, path) == [(0, 7.0)]
    add_epoch(path, 0, loss=8.0)
    mirror.update(force=True)
    assert history(uri, path) == [(0, 7.0), (0, 8.0)]
    (path / "mlflow.json").unlink()
    tracking.sync(tmp_path, uri)
    assert history(uri, path) == [(0, 7.0), (0, 8.0)]


def test_a_torn_line_waits_until_it_is_whole(uri: str, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", epochs=1)
    with (path / "metrics.jsonl").open("a") as handle:
        handle.write('{"epoch": 1, "train/lo')
    mirror = tracking.Mirror(path, uri, "torn")
    mirror.update()
    assert mirror.failed is None
    assert history(uri, path) == [(0, 1.0)]
    with (path / "metrics.jsonl").open("a") as handle:
        handle.write("\n")  # what a resumed run does
    add_epoch(path, 1)
    mirror.update(force=True)
    assert history(uri, path) == [(0, 1.0), (1, 0.5)]


def test_nonfinite_values_become_tags(uri: str, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", epochs=1)
    add_epoch(path, 1, loss=math.nan)
    finish(path, "diverged")
    tracking.sync(tmp_path, uri)
    run = mirrored(uri, path)
    assert history(uri, path) == [(0, 1.0)]
    assert "bound/theorem1" not in run.data.metrics
    assert run.data.tags["nonfinite/train/loss"] == "nan in epoch 1"
    assert run.data.tags["nonfinite/bound/theorem1"] == "inf in epoch 1"


def test_more_metrics_and_params_than_one_call_takes(uri: str, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", epochs=0)
    (path / "config.json").write_text(json.dumps({f"p{i}": i for i in range(101)}))
    add_epoch(path, 0, **{f"m{i}": float(i) for i in range(1001)}, **{f"n{i}": math.inf for i in range(101)})
    (result,) = tracking.sync(tmp_path, uri)
    assert result.error is None
    data = mirrored(uri, path).data
    assert (len(data.metrics), len(data.params)) == (1002, 101)
    assert sum(name.startswith("nonfinite/") for name in data.tags) == 101


def test_updates_are_throttled(uri: str, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", epochs=1)
    mirror = tracking.Mirror(path, uri, "throttled", min_interval_s=3600)
    mirror.update()
    add_epoch(path, 1)
    mirror.update()
    assert len(history(uri, path)) == 1
    mirror.update(force=True)
    assert len(history(uri, path)) == 2


def test_a_dead_server_is_no_error_and_sync_fills_the_gap(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    path, dead = make_run(tmp_path / "run"), "http://127.0.0.1:9"
    mirror = tracking.Mirror(path, dead, "gap", min_interval_s=0)
    mirror.update()
    assert mirror.failed
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "send", None)  # a call would change `failed`
        failed = mirror.failed
        mirror.update(force=True)
        assert mirror.failed == failed
        mirror.close()
        assert mirror.failed != failed
    (result,) = tracking.sync(tmp_path, dead)
    assert result.error
    assert tracking.sync(tmp_path, uri) == [tracking.SyncResult(path, 3)]
    experiment = client(uri).get_experiment(mirrored(uri, path).info.experiment_id)
    assert experiment.name == "gap"


def test_damaged_run_keeps_back_no_other(uri: str, tmp_path: Path) -> None:
    make_run(tmp_path / "a").joinpath("config.json").write_text("{")
    make_run(tmp_path / "b")
    first, second = tracking.sync(tmp_path, uri)
    assert first.error
    assert second == tracking.SyncResult(tmp_path / "b", 3)


def test_runs_of_killed_processes_are_closed_and_others_are_not(uri: str, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    killed, alive = make_run(tmp_path / "killed", pid=child.pid), make_run(tmp_path / "alive")
    tracking.sync(tmp_path, uri)
    tracking.prepare(uri)
    assert mirrored(uri, killed).info.status == "KILLED"
    assert mirrored(uri, alive).info.status == "RUNNING"


def test_a_resumed_run_runs_again_and_ends_again(uri: str, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path = make_run(tmp_path / "run", pid=child.pid)
    finish(path, "interrupted")
    tracking.sync(tmp_path, uri)
    mirror = tracking.Mirror(path, uri, "train-digits")
    mirror.update()
    tracking.prepare(uri)
    assert mirrored(uri, path).info.status == "RUNNING"
    finish(path)
    mirror.close()
    assert mirrored(uri, path).info.status == "FINISHED"


def test_a_run_that_the_store_no_longer_has_is_sent_anew(uri: str, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run")
    tracking.sync(tmp_path, uri)
    state = path / "mlflow.json"
    state.write_text(state.read_text().replace(mirrored(uri, path).info.run_id, "0" * 32))
    path.joinpath("environment.json").write_text(json.dumps({"run_id": uuid.uuid4().hex}))
    assert tracking.sync(tmp_path, uri) == [tracking.SyncResult(path, 3)]


def work(path: Path, uri: str, barrier: Any) -> None:
    barrier.wait()
    tracking.prepare(uri)
    mirror = tracking.Mirror(path, uri, "workers")
    for epoch in range(5):
        add_epoch(path, epoch)
        mirror.update(force=True)
    finish(path)
    mirror.close()
    sys.exit(mirror.failed)


@pytest.mark.usefixtures("uri")  # mlflow is imported before the fork, so that the workers really meet
def test_eight_processes_at_once_on_a_fresh_store_lose_nothing(tmp_path: Path) -> None:
    paths = [make_run(tmp_path / str(i), epochs=0) for i in range(8)]
    fresh = tracking.default_uri(tmp_path)
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(8)
    workers = [fork.Process(target=work, args=(path, fresh, barrier)) for path in paths]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert [len(history(fresh, path)) for path in paths] == [5] * 8
    assert {mirrored(fresh, path).info.status for path in paths} == {"FINISHED"}


def test_import_does_not_import_mlflow() -> None:
    code = "import sys; from lcfs import tracking; assert tracking.available(); sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_uri_and_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = tracking.default_uri(tmp_path)
    assert uri == f"sqlite:///{tmp_path}/mlflow.db"
    command = tracking.ui_command(uri, 5001, tmp_path)
    assert command[:4] == [sys.executable, "-m", "mlflow", "server"]
    assert command[command.index("--backend-store-uri") + 1] == uri
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--artifacts-destination") + 1] == f"file://{tmp_path}/mlartifacts"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert tracking.default_uri(tmp_path) == "http://tracker:5000"
