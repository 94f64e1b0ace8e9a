"""Writing to MLflow in portions that it takes: experiments, metrics, tags, parameters, artifacts, data sets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lcfs.runs.launch import DataMark
from lcfs.tracking._client import database_file

Point = tuple[str, float, int, int]
"""Name, value, unix time in ms, epoch."""

_METRICS_A_CALL, _OTHERS_A_CALL = 1000, 100  # MLflow's limits; params and tags share the second
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens runs, not traces
_DIGEST_SIZE = 36  # MLflow's limit


def experiment_id(client: Any, uri: str, name: str, runs: Path) -> str:
    """The id of an experiment, created if need be, whichever process comes first.

    Where the client itself writes the artifacts they lie beside the database or, for one that is no file, beside the
    runs; a server decides for itself.
    """
    from mlflow.exceptions import MlflowException

    folder = artifact_folder(uri, runs)
    if experiment := client.get_experiment_by_name(name):
        return experiment.experiment_id
    try:
        root = (folder / name).as_uri() if folder else None
        return client.create_experiment(name, artifact_location=root, tags=_EXPERIMENT_TAGS)
    except MlflowException:  # another process was first
        if experiment := client.get_experiment_by_name(name):
            return experiment.experiment_id
        raise


def artifact_folder(uri: str, runs: Path) -> Path | None:
    """Where artifacts lie if the client writes them: beside a sqlite file, else beside the runs; None for a server."""
    if database := database_file(uri):
        return database.parent / "mlartifacts"
    return None if is_server(uri) else runs.resolve() / "mlartifacts"


def is_server(uri: str) -> bool:
    """Whether a tracking URI names a server and not a database."""
    return uri.startswith(("http://", "https://"))


def log_points(client: Any, run_id: str, points: Sequence[Point]) -> None:
    """Metrics of one run."""
    from mlflow.entities import Metric

    for part in _parts([Metric(*point) for point in points], _METRICS_A_CALL):
        client.log_batch(run_id, metrics=part)


def log_tags(client: Any, run_id: str, tags: Mapping[str, str]) -> None:
    """Tags of one run; later values replace earlier ones."""
    from mlflow.entities import RunTag

    for part in _parts([RunTag(name, value) for name, value in tags.items()], _OTHERS_A_CALL):
        client.log_batch(run_id, tags=part)


def log_params(client: Any, run: Any, params: Mapping[str, str]) -> None:
    """The parameters that a run does not have yet; MLflow does not let them change."""
    from mlflow.entities import Param

    missing = [Param(name, value) for name, value in params.items() if name not in run.data.params]
    for part in _parts(missing, _OTHERS_A_CALL):
        client.log_batch(run.info.run_id, params=part)


def log_data(client: Any, run: Any, data: Sequence[DataMark]) -> None:
    """The data sets that a run does not have yet, under our own fingerprint."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    known = {(entry.dataset.name, entry.dataset.digest) for entry in run.inputs.dataset_inputs}
    inputs = [
        DatasetInput(
            Dataset(
                name=f"{mark.name}, {mark.split}",
                digest=mark.fingerprint[:_DIGEST_SIZE],
                source_type="lcfs",
                source=json.dumps({"uri": f"lcfs data {mark.name}"}),
                profile=json.dumps({"images": mark.images, "sha256 of shape, pixels, labels": mark.fingerprint}),
            ),
            [InputTag("mlflow.data.context", mark.split)],
        )
        for mark in data
        if (f"{mark.name}, {mark.split}", mark.fingerprint[:_DIGEST_SIZE]) not in known
    ]
    if inputs:
        client.log_inputs(run.info.run_id, datasets=inputs)


def log_artifacts(client: Any, run_id: str, files: Iterable[Path], sent: Mapping[str, int]) -> dict[str, int]:
    """Files that are new or changed since `sent` (name -> mtime in ns); returns the new `sent`."""
    stamps = {file: file.stat().st_mtime_ns for file in sorted(files) if file.is_file()}
    for file, stamp in stamps.items():
        if sent.get(file.name) != stamp:
            client.log_artifact(run_id, str(file))
    return {file.name: stamp for file, stamp in stamps.items()}


def _parts(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
