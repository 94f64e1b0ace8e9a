"""MLflow as the mirror of run directories; the only module that imports mlflow.

A run reaches MLflow by replaying its directory: live, in small batches while it trains, and later by `lcfs sync`, over
one code path. What was sent is remembered in RUN/mlflow.json; if that is lost, the run is found by its `lcfs.run_id`.
"""

import fcntl
import importlib.util
import json
import logging
import math
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcfs.checkpoints import write_text_atomically

_BATCH = 1000  # metrics a call, MLflow's limit
_STATUS = {"finished": "FINISHED", "diverged": "FAILED", "interrupted": "KILLED"}
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # a dead server must not hold up training
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


@dataclass(frozen=True)
class SyncResult:
    """What `sync` did with one run directory: epochs sent, or why it failed."""

    run: Path
    sent: int
    error: str | None = None

    def __str__(self) -> str:
        return f"{self.run}: {self.error or f'{self.sent} epochs sent'}"


def available() -> bool:
    """Whether mlflow is installed, without importing it."""
    return importlib.util.find_spec("mlflow") is not None


def default_uri(runs: Path) -> str:
    """MLFLOW_TRACKING_URI, or a sqlite store in the folder of runs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{runs.resolve() / 'mlflow.db'}"


def prepare(uri: str) -> None:
    """Create the store once, before workers start, and close the runs of killed processes of this machine."""
    with _locked(uri):
        client = _client(uri)
        for experiment in client.search_experiments():
            for run in client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
                tags = run.data.tags
                if tags.get("lcfs.host") == socket.gethostname() and not _alive(tags.get("lcfs.pid", "")):
                    client.set_terminated(run.info.run_id, "KILLED")


class Mirror:
    """Sends one run directory, new lines only; never raises, remembers the failure in `failed` instead."""

    def __init__(self, run: Path, uri: str, experiment: str, min_interval_s: float = 10.0) -> None:
        self.failed: str | None = None
        self._run, self._uri, self._experiment, self._interval = run, uri, experiment, min_interval_s
        self._last = -math.inf

    def update(self, force: bool = False) -> None:
        """Send what is new, at most every `min_interval_s` seconds; after a failure only when forced."""
        if not force and (self.failed or time.monotonic() - self._last < self._interval):
            return
        try:
            _send(self._run, self._uri, self._experiment)
            self.failed = None
        except Exception as error:  # never fatal to training; lcfs sync replays
            self.failed = _line(error)
        self._last = time.monotonic()

    def close(self) -> None:
        """Send the rest."""
        self.update(force=True)


def sync(runs: Path, uri: str) -> list[SyncResult]:
    """Replay all run directories in a folder; nothing is sent twice."""
    results = []
    for path in sorted(p.parent for p in runs.glob("*/config.json")):
        config = json.loads((path / "config.json").read_text())
        try:
            results.append(SyncResult(path, _send(path, uri, f"train-{config['data']}")))
        except Exception as error:  # one run that fails must not keep back the others
            results.append(SyncResult(path, 0, _line(error)))
    return results


def ui_command(uri: str, port: int) -> list[str]:
    """The command that serves the comparison on this machine."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1"]
    if uri.startswith("sqlite:///"):
        command += ["--default-artifact-root", str(Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts")]
    return [*command, "--port", str(port)]


def _send(path: Path, uri: str, experiment: str) -> int:
    """Bring MLflow's copy of one run up to date; returns the number of lines sent."""
    from mlflow.entities import Metric, RunTag

    client = _client(uri)
    run_id, sent = _place(client, path, uri, experiment)
    lines = _lines(path)
    metrics, tags = [], []
    for record in lines[sent:]:
        stamp, step = int(1000 * record.get("time", time.time())), record["epoch"]
        for name, value in record.items():
            if name in ("epoch", "time"):
                continue
            if math.isfinite(value):
                metrics.append(Metric(name, value, stamp, step))
            else:
                tags.append(RunTag(f"nonfinite/{name}", f"{value} in epoch {step}"))
    summary_path = path / "summary.json"
    summary = json.loads(summary_path.read_text()) if summary_path.exists() else None
    if summary:
        stamp = int(1000 * summary_path.stat().st_mtime)
        metrics += [Metric(k, v, stamp, 0) for k, v in summary["metrics"].items() if math.isfinite(v)]
        tags += [RunTag(f"nonfinite/{k}", str(v)) for k, v in summary["metrics"].items() if not math.isfinite(v)]
        tags += [RunTag(k, str(v)) for k, v in summary["tags"].items()]
    state = {"uri": uri, "run_id": run_id, "lines": len(lines), "ended": bool(summary)}
    if state == _state(path):
        return 0
    for start in range(0, max(len(metrics), 1), _BATCH):
        client.log_batch(run_id, metrics[start : start + _BATCH], tags=tags if start == 0 else ())
    if summary:
        for artifact in sorted((path / "artifacts").glob("*")):
            client.log_artifact(run_id, str(artifact))
        client.set_terminated(run_id, _STATUS[summary["status"]])
    write_text_atomically(json.dumps(state) + "\n", path / "mlflow.json")
    return len(lines) - sent


def _place(client: Any, path: Path, uri: str, experiment: str) -> tuple[str, int]:
    """(MLflow run id, lines it has): remembered, found by its tag, or created with its parameters."""
    state = _state(path)
    if state and state["uri"] == uri:
        return state["run_id"], state["lines"]
    environment = json.loads((path / "environment.json").read_text())
    experiment_id = _experiment(client, uri, experiment)
    found = client.search_runs([experiment_id], f"tags.`lcfs.run_id` = '{environment['run_id']}'")
    if found:
        history = client.get_metric_history(found[0].info.run_id, "train/loss")
        seen = {metric.step for metric in history}
        lines = _lines(path)
        return found[0].info.run_id, sum(record["epoch"] in seen for record in lines)
    tags = {f"lcfs.{key}": str(value) for key, value in environment.items()}
    run = client.create_run(experiment_id, run_name=path.name, tags=tags)
    for name, value in _flatten(json.loads((path / "config.json").read_text())):
        client.log_param(run.info.run_id, name, value)
    return run.info.run_id, 0


def _experiment(client: Any, uri: str, name: str) -> str:
    with _locked(uri):
        found = client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        root = None
        if uri.startswith("sqlite:///"):
            root = (Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts" / name).as_uri()
        return client.create_experiment(name, artifact_location=root)


def _client(uri: str) -> Any:
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for logger in ("alembic", "mlflow"):  # after the import, which sets them up
        logging.getLogger(logger).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


@contextmanager
def _locked(uri: str) -> Iterator[None]:
    """Several processes that open a fresh sqlite store at once crash each other, so one goes first."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    path = Path(uri.removeprefix("sqlite:///") + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of metrics.jsonl in the order written; one torn by a kill is left out."""
    file = path / "metrics.jsonl"
    records = []
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def _state(path: Path) -> dict[str, Any] | None:
    file = path / "mlflow.json"
    try:
        return json.loads(file.read_text())
    except (OSError, json.JSONDecodeError):
        return None


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path(f"/proc/{pid}").exists()


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
