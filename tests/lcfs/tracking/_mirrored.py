"""Run directories as training leaves them, and what MLflow has of them."""

import json
import math
import os
import socket
import uuid
from pathlib import Path
from typing import Any

CONFIG = {"data": "digits", "optimizer": {"beta": 50.0, "l1": 1e-5}}
SUMMARY = {
    "status": "finished",
    "metrics": {"final/test_accuracy": 0.75, "bound/theorem1": math.inf},
    "tags": {"note": "a test"},
}


def make_run(path: Path, epochs: int = 3, pid: int | None = None) -> Path:
    path.mkdir(parents=True)
    environment = {"run_id": uuid.uuid4().hex, "pid": pid or os.getpid(), "host": socket.gethostname()}
    environment["versions"] = {"torch": "2.13"}
    (path / "environment.json").write_text(json.dumps(environment))
    (path / "config.json").write_text(json.dumps(CONFIG))
    for epoch in range(epochs):
        add_epoch(path, epoch)
    return path


def add_epoch(path: Path, epoch: int, loss: float | None = None, end: str = "\n", **others: float) -> None:
    record = {"epoch": epoch, "time": 1.7e9 + epoch, "train/loss": 1 / (1 + epoch) if loss is None else loss, **others}
    with (path / "metrics.jsonl").open("a") as handle:
        handle.write(json.dumps(record) + end)


def finish(path: Path, status: str = "finished") -> None:
    (path / "summary.json").write_text(json.dumps({**SUMMARY, "status": status}))


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def mirrored(uri: str, path: Path) -> Any:
    """MLflow's run of a run directory; that there is exactly one is part of every test."""
    run_id = json.loads((path / "environment.json").read_text())["run_id"]
    experiments = [experiment.experiment_id for experiment in client(uri).search_experiments()]
    (run,) = client(uri).search_runs(experiments, f"tags.`lcfs.run_id` = '{run_id}'")
    return run


def history(uri: str, path: Path, name: str = "train/loss") -> list[tuple[int, float]]:
    points = client(uri).get_metric_history(mirrored(uri, path).info.run_id, name)
    return sorted((point.step, point.value) for point in points)
