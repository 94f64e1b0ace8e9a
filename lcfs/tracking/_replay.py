"""Bringing MLflow's copy of one run up to date with its directory; nothing is sent twice."""

import hashlib
import json
import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lcfs.runs.metrics import read_records
from lcfs.tracking import _writing
from lcfs.tracking._client import connect, locked
from lcfs.tracking._records import Place, State, flatten, plain_place, read, read_states, write_states
from lcfs.tracking._writing import Point

_STATUS = {"finished": "FINISHED", "diverged": "FAILED", "interrupted": "KILLED"}


def send(
    path: Path, uri: str, place: Place | None = None, *, claim: bool = False, closing: bool = True, dead: bool = False
) -> int:
    """Bring MLflow's copy of one run up to date; returns the number of epochs sent.

    Args:
        path: the run directory.
        uri: MLflow's store.
        place: where the run is shown, by default as one that is in no study.
        claim: mark the run as running in this process.
        closing: end the run if it has a summary, even one that was sent before: while a resumed run trains, the summary
            of its first part is still there.
        dead: without a summary the run was killed, for nobody trains it any more.
    """
    with locked(path / "mlflow.lock"):  # lcfs sync may meet the live mirror
        place = place or plain_place(path)
        states = read_states(path)
        known = states.get(place.experiment)
        before = known if known and known.uri == uri else State(uri)
        states[place.experiment] = replace(before, of_study=place.of_study, lines=None)
        write_states(path, states)
        client = connect(uri)
        run, is_known = _run_of(client, uri, path, place, before)
        if not is_known:
            before = State(uri, run.info.run_id)
        if before.place != place.digest():
            _log_place(client, run, path, place)
        if claim:
            _claim(client, run)
        records = read_records(path / "metrics.jsonl")
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
            last = {name: value for name, value in summary["metrics"].items() if place.shows(name)}
            last_points, last_tags = _points([{**last, "epoch": last_step, "time": end / 1000}], end)
            points += _missing(client, run, last_points)
            tags |= last_tags | {name: str(value) for name, value in summary["tags"].items()}
        _writing.log_points(client, run.info.run_id, points)
        _writing.log_tags(client, run.info.run_id, tags)
        whole = [path / "config.json", path / "summary.json"] if place.of_study else []
        files = [*(path / "artifacts").glob("*"), *(file for file in whole if file.exists())]
        artifacts = _writing.log_artifacts(client, run.info.run_id, files, before.artifacts)
        status = None
        if summary and (closing or digest != before.summary):
            status = _STATUS.get(summary["status"], "FAILED")
        elif dead and not summary:
            status = "KILLED"
        if status and (claim or run.info.status != status):
            client.set_terminated(run.info.run_id, status, end_time=end)
        after = State(uri, run.info.run_id, len(records), digest, place.digest(), place.of_study, artifacts)
        write_states(path, states | {place.experiment: after})
        return sent


def _run_of(client: Any, uri: str, path: Path, place: Place, state: State) -> tuple[Any, bool]:
    """(MLflow run, whether `state` describes it): remembered, found by its tag, or created."""
    from mlflow.exceptions import MlflowException

    if state.run_id:
        try:
            return client.get_run(state.run_id), True
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # otherwise the store was made anew
                raise
    environment = dict(flatten(json.loads((path / "environment.json").read_text())))
    if runs := _search(client, place, environment["run_id"]):
        return runs[0], False
    records = read_records(path / "metrics.jsonl")
    created = int(1000 * (path / "config.json").stat().st_mtime)
    start = min(created, _stamp(records[0], created)) if records else created
    tags = {f"lcfs.{name}": str(value) for name, value in environment.items()}
    experiment = _writing.experiment_id(client, uri, place.experiment, path.parent)
    return client.create_run(experiment, start, {**tags, **place.tags}, run_name=place.title or path.name), False


def _search(client: Any, place: Place, run_id: str) -> list[Any]:
    """MLflow's runs of a run directory: a study's in its experiment, one that is there for itself in any other."""
    if place.of_study:
        named = client.get_experiment_by_name(place.experiment)
        experiments = [named.experiment_id] if named else []
    else:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`lcfs.run_id` = '{run_id}'") if experiments else []
    return [run for run in runs if place.of_study or "lcfs.study" not in run.data.tags]


def _log_place(client: Any, run: Any, path: Path, place: Place) -> None:
    """What stands beside the measurements: parameters, tags, data sets."""
    params = place.params
    if params is None:
        params = {name: str(value) for name, value in flatten(json.loads((path / "config.json").read_text()))}
    _writing.log_params(client, run, params)
    _writing.log_tags(client, run.info.run_id, place.tags)
    _writing.log_data(client, run, place.data)


def _claim(client: Any, run: Any) -> None:
    """Mark a run as running in this process, which after a resume is not the one of environment.json."""
    client.set_tag(run.info.run_id, "lcfs.pid", str(os.getpid()))
    client.set_tag(run.info.run_id, "lcfs.host", socket.gethostname())
    if run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")


def _points(records: Sequence[Mapping[str, Any]], start_ms: int) -> tuple[list[Point], dict[str, str]]:
    """(finite values, tags that name the others); if an epoch occurs twice its last record counts."""
    points: list[Point] = []
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


def _missing(client: Any, run: Any, points: list[Point]) -> list[Point]:
    """The points that MLflow does not have yet."""
    names = {name for name, *_ in points} & set(client.get_run(run.info.run_id).data.metrics)
    history = [metric for name in names for metric in client.get_metric_history(run.info.run_id, name)]
    seen = {(metric.key, metric.value, metric.timestamp, metric.step) for metric in history}
    return [point for point in points if point not in seen]
