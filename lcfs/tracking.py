"""MLflow as the mirror of run directories; the only module that imports mlflow.

A run reaches MLflow by replaying its directory: live, in small batches while it trains, and later by `lcfs sync`, over
one code path. What was sent is remembered in RUN/mlflow.json; if that is lost, or a send was broken off, the run is
found by its tag `lcfs.run_id` and only the points that MLflow lacks are sent.
"""

import fcntl
import hashlib
import importlib.util
import json
import logging
import math
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lcfs.checkpoints import write_text_atomically

_METRICS_A_CALL, _OTHERS_A_CALL = 1000, 100  # MLflow's limits; params and tags share the second
_STATUS = {"finished": "FINISHED", "diverged": "FAILED", "interrupted": "KILLED"}
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # a dead server must not hold up training
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
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
    _close_killed(_client(uri))


class Mirror:
    """Sends one run directory, new lines only; never raises, remembers the failure in `failed` instead."""

    def __init__(self, run: Path, uri: str, experiment: str, min_interval_s: float = 10.0) -> None:
        self.failed: str | None = None
        self._run, self._uri, self._experiment, self._interval = run, uri, experiment, min_interval_s
        self._last = -math.inf
        self._claimed = False

    def update(self, force: bool = False) -> None:
        """Send what is new, at most every `min_interval_s` seconds unless forced; nothing after a failure."""
        if self.failed is None and (force or time.monotonic() - self._last >= self._interval):
            self._try(closing=False)

    def close(self) -> None:
        """Send the rest, trying once more after a failure; the MLflow run ends if there is a summary.json."""
        self._try(closing=True)

    def _try(self, closing: bool) -> None:
        try:
            _send(self._run, self._uri, self._experiment, claim=not self._claimed, closing=closing)
            self._claimed, self.failed = True, None
        except Exception as error:  # never fatal to training; lcfs sync replays
            self.failed = _line(error)
        self._last = time.monotonic()


def sync(runs: Path, uri: str) -> list[SyncResult]:
    """Replay all run directories below a folder; nothing is sent twice, and one that fails keeps back no other."""
    paths = sorted(p.parent for p in runs.rglob("config.json") if (p.parent / "environment.json").exists())
    if not paths:
        return []
    try:
        client = _client(uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # a dead store is waited for once, not once a run
        return [SyncResult(path, 0, _line(error)) for path in paths]
    results = []
    for path in paths:
        try:
            results.append(SyncResult(path, _send(path, uri)))
        except Exception as error:
            results.append(SyncResult(path, 0, _line(error)))
    _close_killed(client)
    return results


def ui_command(uri: str, port: int) -> list[str]:
    """The command that serves the comparison on this machine, pictures included."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    if database := _database(uri):
        root = database.parent / "mlartifacts"
        command += ["--default-artifact-root", root.as_uri(), "--artifacts-destination", root.as_uri()]
    return [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


@dataclass(frozen=True)
class _State:
    """RUN/mlflow.json. `lines` is None from before a send until after it: if broken off, MLflow is asked instead."""

    uri: str
    experiment: str
    run_id: str | None = None
    lines: int | None = None
    summary: str | None = None
    artifacts: dict[str, int] = field(default_factory=dict)


def _send(path: Path, uri: str, experiment: str | None = None, claim: bool = False, closing: bool = True) -> int:
    """Bring MLflow's copy of one run up to date; returns the number of epochs sent.

    `claim` marks the run as running in this process. A summary that was sent before ends the run again only when
    `closing`: while a resumed run trains, the summary of its first part is still there.
    """
    with _locked(path / "mlflow.lock"):  # lcfs sync may meet the live mirror
        known = _read_state(path)
        before = known if known and known.uri == uri else _State(uri, known.experiment if known else _experiment(path))
        before = replace(before, experiment=experiment or before.experiment)
        _write_state(path, replace(before, lines=None))
        client = _client(uri)
        run, is_known = _place(client, path, before)
        if not is_known:
            before = _State(uri, before.experiment, run.info.run_id)
        if claim:
            _claim(client, run)
        records = _records(path)
        points, tags = _points(records[before.lines or 0 :], run.info.start_time)
        if before.lines is None:
            points = _missing(client, run, points)
        sent = len({step for _, _, _, step in points})
        summary_text = _read(path / "summary.json")
        digest = hashlib.sha256(summary_text.encode()).hexdigest() if summary_text else None
        summary = json.loads(summary_text) if summary_text else None
        end = _stamp(records[-1], run.info.start_time) if records else run.info.start_time
        if summary and digest != before.summary:
            last_step = records[-1]["epoch"] if records else 0
            last_points, last_tags = _points([{**summary["metrics"], "epoch": last_step, "time": end / 1000}], end)
            points += _missing(client, run, last_points)
            tags |= last_tags | {name: str(value) for name, value in summary["tags"].items()}
        _log(client, run.info.run_id, points, tags)
        artifacts = _send_artifacts(client, run.info.run_id, path / "artifacts", before.artifacts)
        if summary and (closing or digest != before.summary):
            status = _STATUS.get(summary["status"], "FAILED")
            if claim or run.info.status != status:
                client.set_terminated(run.info.run_id, status, end_time=end)
        _write_state(path, _State(uri, before.experiment, run.info.run_id, len(records), digest, artifacts))
        return sent


def _place(client: Any, path: Path, state: _State) -> tuple[Any, bool]:
    """(MLflow run, whether `state` describes it): remembered, found by its tag, or created with its parameters."""
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    if state.run_id:
        try:
            return client.get_run(state.run_id), True
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # otherwise the store was made anew
                raise
    environment = dict(_flatten(json.loads((path / "environment.json").read_text())))
    config = dict(_flatten(json.loads((path / "config.json").read_text())))
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`lcfs.run_id` = '{environment['run_id']}'") if experiments else []
    if found:
        run = found[0]
    else:
        records = _records(path)
        created = int(1000 * (path / "config.json").stat().st_mtime)
        start = min(created, _stamp(records[0], created)) if records else created
        tags = {f"lcfs.{name}": str(value) for name, value in environment.items()}
        run = client.create_run(_experiment_id(client, state), start, tags, run_name=path.name)
    params = [Param(name, str(value)) for name, value in config.items() if name not in run.data.params]
    for part in _parts(params, _OTHERS_A_CALL):
        client.log_batch(run.info.run_id, params=part)
    return run, False


def _claim(client: Any, run: Any) -> None:
    """Mark a run as running in this process, which after a resume is not the one of environment.json."""
    client.set_tag(run.info.run_id, "lcfs.pid", str(os.getpid()))
    client.set_tag(run.info.run_id, "lcfs.host", socket.gethostname())
    if run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")


def _close_killed(client: Any) -> None:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'") if experiments else ():
        tags = run.data.tags
        if tags.get("lcfs.host") == socket.gethostname() and not _alive(tags.get("lcfs.pid", "")):
            client.set_terminated(run.info.run_id, "KILLED")


_Point = tuple[str, float, int, int]  # name, value, unix time in ms, epoch


def _points(records: Sequence[Mapping[str, Any]], start_ms: int) -> tuple[list[_Point], dict[str, str]]:
    """(finite values, tags that name the others); if an epoch occurs twice its last record counts."""
    points: list[_Point] = []
    tags = {}
    for record in {record["epoch"]: record for record in records}.values():
        for name, value in record.items():
            if name in ("epoch", "time"):
                continue
            if value is not None and math.isfinite(value):
                points.append((name, float(value), _stamp(record, start_ms), record["epoch"]))
            else:
                tags[f"nonfinite/{name}"] = f"{value} in epoch {record['epoch']}"
    return points, tags


def _stamp(record: Mapping[str, Any], start_ms: int) -> int:
    """A record's time in ms; without one a time that is the same at every replay."""
    return round(1000 * record["time"]) if "time" in record else start_ms + record["epoch"]


def _missing(client: Any, run: Any, points: list[_Point]) -> list[_Point]:
    """The points that MLflow does not have yet."""
    names = {name for name, *_ in points} & set(client.get_run(run.info.run_id).data.metrics)
    history = [metric for name in names for metric in client.get_metric_history(run.info.run_id, name)]
    seen = {(metric.key, metric.value, metric.timestamp, metric.step) for metric in history}
    return [point for point in points if point not in seen]


def _log(client: Any, run_id: str, points: list[_Point], tags: Mapping[str, str]) -> None:
    from mlflow.entities import Metric, RunTag

    for part in _parts([Metric(*point) for point in points], _METRICS_A_CALL):
        client.log_batch(run_id, metrics=part)
    for part in _parts([RunTag(name, value) for name, value in tags.items()], _OTHERS_A_CALL):
        client.log_batch(run_id, tags=part)


def _send_artifacts(client: Any, run_id: str, folder: Path, sent: Mapping[str, int]) -> dict[str, int]:
    """Log files that are new or changed since `sent` (name -> mtime in ns); returns the new `sent`."""
    found = {file.name: file.stat().st_mtime_ns for file in sorted(folder.glob("*")) if file.is_file()}
    for name, stamp in found.items():
        if sent.get(name) != stamp:
            client.log_artifact(run_id, str(folder / name))
    return found


def _experiment(path: Path) -> str:
    """The experiment of a run that was never mirrored."""
    return f"train-{json.loads((path / 'config.json').read_text()).get('data', path.parent.name)}"


def _experiment_id(client: Any, state: _State) -> str:
    from mlflow.exceptions import MlflowException

    database = _database(state.uri)
    root = (database.parent / "mlartifacts" / state.experiment).as_uri() if database else None
    if found := client.get_experiment_by_name(state.experiment):
        return found.experiment_id
    try:
        return client.create_experiment(state.experiment, artifact_location=root)
    except MlflowException:  # another process was first
        if found := client.get_experiment_by_name(state.experiment):
            return found.experiment_id
        raise


def _client(uri: str) -> Any:
    """A client without global state; several processes that open a fresh sqlite store at once take turns."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for logger in ("alembic", "mlflow"):  # after the import, which sets them up
        logging.getLogger(logger).setLevel(logging.WARNING)
    if not (database := _database(uri)):
        return MlflowClient(tracking_uri=uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    with _locked(database.with_name(database.name + ".lock")):
        return MlflowClient(tracking_uri=uri)


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:///") else None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _records(path: Path) -> list[dict[str, Any]]:
    """Whole lines of metrics.jsonl in the order written; one torn by a kill is left out."""
    records = []
    for line in _read(path / "metrics.jsonl").split("\n"):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def _read_state(path: Path) -> _State | None:
    try:
        return _State(**json.loads((path / "mlflow.json").read_text()))
    except (OSError, ValueError, TypeError):  # lost or damaged: MLflow is asked
        return None


def _write_state(path: Path, state: _State) -> None:
    write_text_atomically(json.dumps(asdict(state), indent=1) + "\n", path / "mlflow.json")


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _parts(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:  # someone else's
        return True
    except (ValueError, OSError):
        return False
    return True


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
