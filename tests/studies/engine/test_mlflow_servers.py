"""Servers: one that dies in mid-study costs no run, and one backed by Postgres takes eight processes at once."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from _browser import answers, call_lcfs, wait_for
from _ports import free_port

from lcfs import tracking

pytest.importorskip("mlflow")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # mlflow's own
STUDY = "training_fully_connected"
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))

_WORKER = """
import json, os, socket, sys, uuid
from pathlib import Path
from lcfs import tracking
path, uri = Path(sys.argv[1]), sys.argv[2]
path.mkdir()
environment = {"run_id": uuid.uuid4().hex, "pid": os.getpid(), "host": socket.gethostname()}
(path / "environment.json").write_text(json.dumps(environment))
(path / "config.json").write_text(json.dumps({"data": "digits", "seed": int(path.name)}))
mirror = tracking.Mirror(path, uri, "eight")
for epoch in range(20):
    with (path / "metrics.jsonl").open("a") as handle:
        handle.write(json.dumps({"epoch": epoch, "time": 1.7e9 + epoch, "train/loss": 1 / (1 + epoch)}) + "\\n")
    mirror.update(force=True)
(path / "summary.json").write_text(json.dumps({"status": "finished", "metrics": {"final/x": 1.0}, "tags": {}}))
mirror.close()
sys.exit(mirror.failed)
"""


@contextmanager
def served(store: str, runs: Path, port: int) -> Iterator[str]:
    """MLflow's server as `lcfs ui` starts it; its address."""
    command = tracking.ui_command(store, port, runs)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, start_new_session=True, **quiet) as server:  # its workers are in its session
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(lambda: answers(address), server)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def study_runs(uri: str, kind: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(f"{STUDY} (smoke)")
    return list(client.search_runs([experiment.experiment_id], f"tags.`lcfs.kind` = '{kind}'"))


def test_a_server_that_dies_in_mid_study_costs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, port = tracking.default_uri(tmp_path), free_port()
    tracking.prepare(store)
    runs = tmp_path / "runs"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    with served(store, tmp_path, port) as address:
        command = call_lcfs("study", STUDY, "--jobs", "1", "--runs", str(runs))
        study = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert study.stdout is not None
        for line in study.stdout:
            if line.startswith("3/14"):
                break
    rest = study.stdout.read()
    study.stdout.close()
    assert study.wait() == 0
    assert "14/14" in rest
    assert f"lcfs sync {runs / 'smoke'} sends it later" in rest
    with served(store, tmp_path, port):
        for sent in (True, False):
            results = tracking.sync(runs / "smoke", address)
            assert [result.error for result in results] == [None] * 14
            assert any(result.sent for result in results) == sent
        cells = study_runs(address, "cell")
        assert len({run.info.run_name for run in cells}) == len(cells) == 14
        assert {run.info.status for run in cells} == {"FINISHED"}
        (launch,) = study_runs(address, "launch")
        assert launch.info.status == "FINISHED"
        assert {run.data.tags["mlflow.parentRunId"] for run in cells} == {launch.info.run_id}
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=address)
        assert {len(client.get_metric_history(run.info.run_id, "train/loss")) for run in cells} == {3}


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URI of an empty database in a cluster of its own, which listens on a socket in its folder alone."""
    pytest.importorskip("psycopg")
    if not _POSTGRES:
        pytest.skip("needs Debian's postgresql")
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="lcfs-postgres-"))
    if as_user:
        shutil.chown(folder, "postgres")

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run([*as_user, str(_POSTGRES[-1] / program), *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    data = str(folder / "data")
    try:
        call("initdb", "-D", data, "-U", "lcfs", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        call("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql://lcfs@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
@pytest.mark.parametrize("through_a_server", [True, False])
def test_postgres_takes_eight_processes_at_once(postgres: str, tmp_path: Path, through_a_server: bool) -> None:
    from mlflow import MlflowClient

    tracking.prepare(postgres)
    runs = tmp_path / "runs"
    runs.mkdir()

    def eight(uri: str) -> None:
        workers = [subprocess.Popen([sys.executable, "-c", _WORKER, str(runs / str(i)), uri]) for i in range(8)]
        assert [worker.wait() for worker in workers] == [0] * 8
        client = MlflowClient(tracking_uri=uri)
        found = client.search_runs([client.get_experiment_by_name("eight").experiment_id])
        assert sorted(run.info.run_name for run in found) == [str(i) for i in range(8)]
        assert {run.info.status for run in found} == {"FINISHED"}
        assert {len(client.get_metric_history(run.info.run_id, "train/loss")) for run in found} == {20}
        assert all(result.sent == 0 and result.error is None for result in tracking.sync(runs, uri))

    if through_a_server:
        with served(postgres, runs, free_port()) as address:
            eight(address)
    else:
        eight(postgres)
