"""Bringing MLflow's copy of one run up to date with its directory; nothing is sent twice."""

import hashlib
import json
import math
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lcfs.tracking._client import connect, database_file, locked
from lcfs.tracking._records import State, experiment_of, flatten, read, read_state, records_of, write_state

_METRICS_A_CALL, _OTHERS_A_CALL = 1000, 100  # MLflow's limits; params and tags share the second
_STATUS = {"finished": "FINISHED", "diverged": "FAILED", "interrupted": "KILLED"}
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens runs, not traces
_Point = tuple[str, float, int, int]  # name, value, unix time in ms, epoch


def send(path: Path, uri: str, experiment: str | None = None, claim: bool = False, closing: bool = True) -> int:
    """Bring MLflow's copy of one run up to date; returns the number of epochs sent.

    `claim` marks the run as running in this process. A summary that was sent before ends the run again only when
    `closing`: while a resumed run trains, the summary of its first part is still there.
    """
    with locked(path / "mlflow.lock"):  # lcfs sync may meet the live mirror
        known = read_state(path)
        before = known if known and known.uri == uri else State(uri, known.experiment if known else experiment_of(path))
        before = replace(before, experiment=experiment or before.experiment)
        write_state(path, replace(before, lines=None))
        client = connect(uri)
        run, is_known = _place(client, path, before)
        if not is_known:
            before = State(uri, before.experiment, run.info.run_id)
        if claim:
            _claim(client, run)
        records = records_of(path)
        points, tags = _points(records[before.lines or 0 :], run.info.start_time)
        if before.lines is None:
            points = _missing(client, run, points)
        sent = len({step for _, _, _, step in points})
        summary_text = read(path / "summary.json")
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
        write_state(path, State(uri, before.experiment, run.info.run_id, len(records), digest, artifacts))
        return sent


def _place(client: Any, path: Path, state: State) -> tuple[Any, bool]:
    """(MLflow run, whether `state` describes it): remembered, found by its tag, or created with its parameters."""
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    if state.run_id:
        try:
            return client.get_run(state.run_id), True
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # otherwise the store was made anew
                raise
    environment = dict(flatten(json.loads((path / "environment.json").read_text())))
    config = dict(flatten(json.loads((path / "config.json").read_text())))
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`lcfs.run_id` = '{environment['run_id']}'") if experiments else []
    if found:
        run = found[0]
    else:
        records = records_of(path)
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


def _experiment_id(client: Any, state: State) -> str:
    from mlflow.exceptions import MlflowException

    database = database_file(state.uri)
    root = (database.parent / "mlartifacts" / state.experiment).as_uri() if database else None
    if found := client.get_experiment_by_name(state.experiment):
        return found.experiment_id
    try:
        return client.create_experiment(state.experiment, artifact_location=root, tags=_EXPERIMENT_TAGS)
    except MlflowException:  # another process was first
        if found := client.get_experiment_by_name(state.experiment):
            return found.experiment_id
        raise


def _parts(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
