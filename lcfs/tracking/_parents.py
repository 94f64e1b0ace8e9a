"""A launch in MLflow: the experiment of its study with its view, and the run that is the parent of its cells."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lcfs.runs.launch import Launch, launch_of, read_launch
from lcfs.tracking import _view, _writing
from lcfs.tracking._client import connect, locked
from lcfs.tracking._records import Place, State, read_states, write_states

_STATUS = {"running": "RUNNING", "finished": "FINISHED", "unfinished": "FAILED", "interrupted": "KILLED"}


def send_launch(folder: Path, uri: str, *, claim: bool = False) -> str:
    """Bring MLflow's copy of a launch up to date; returns the id of its run.

    Args:
        folder: the launch directory.
        uri: MLflow's store.
        claim: mark it as running in this process.
    """
    with locked(folder / "mlflow.lock"):
        launch = read_launch(folder)
        client = connect(uri)
        known = read_states(folder).get(launch.experiment)
        experiment = _experiment(client, uri, launch, folder.parent.parent)
        run = _run_of(client, experiment, launch, known if known and known.uri == uri else None)
        before = known if known and known.run_id == run.info.run_id else State(uri)
        _writing.log_tags(client, run.info.run_id, _tags(launch))
        _writing.log_data(client, run, launch.data)
        if claim:
            _writing.log_tags(
                client, run.info.run_id, {"lcfs.pid": str(os.getpid()), "lcfs.host": socket.gethostname()}
            )
        files = (folder / "artifacts").glob("*")
        artifacts = _writing.log_artifacts(client, run.info.run_id, files, before.artifacts)
        if launch.ended is not None and run.info.status != _STATUS[launch.status]:
            client.set_terminated(run.info.run_id, _STATUS[launch.status], end_time=round(1000 * launch.ended))
        elif launch.ended is None and claim and run.info.status != "RUNNING":
            client.update_run(run.info.run_id, status="RUNNING")
        write_states(folder, {launch.experiment: State(uri, run.info.run_id, artifacts=artifacts)})
        return run.info.run_id


def places(path: Path, launches: Sequence[tuple[Launch, str | None]]) -> list[Place]:
    """Where a run directory is shown: once in each study that has it as a cell.

    Args:
        path: the run directory.
        launches: those of its folder, each with the id of its run in MLflow, None where MLflow lacks it.
    """
    parents = {launch.launch_id: run_id for launch, run_id in launches}
    shown = []
    for experiment in sorted({launch.experiment for launch, _ in launches}):
        if launch := launch_of(path.name, (one for one, _ in launches if one.experiment == experiment)):
            shown.append(_place(path, launch, parents[launch.launch_id]))
    return shown


def _place(path: Path, launch: Launch, parent: str | None) -> Place:
    cell = launch.cells[path.name]
    tags = {"lcfs.kind": "cell", "lcfs.study": launch.study, "lcfs.scale": launch.scale}
    tags |= {"lcfs.run": path.name, "lcfs.ranks.torchrun": launch.launch_id}
    if parent is not None:
        tags["mlflow.parentRunId"] = parent
    return Place(launch.experiment, cell.title, cell.params, tags, launch.data)


def _experiment(client: Any, uri: str, launch: Launch, runs: Path) -> str:
    """The study's experiment with its claim and view; what is there already is not written again."""
    experiment = _writing.experiment_id(client, uri, launch.experiment, runs)
    tags = client.get_experiment(experiment).tags
    wanted = {"mlflow.note.content": _note(launch), "lcfs.study": launch.study, "lcfs.scale": launch.scale}
    wanted[_view.TAG] = _view.view([cell.params for cell in launch.cells.values()], round(1000 * launch.started))
    for name, value in wanted.items():
        if tags.get(name) != value:
            client.set_experiment_tag(experiment, name, value)
    return experiment


def _run_of(client: Any, experiment: str, launch: Launch, known: State | None) -> Any:
    """The launch's run: remembered, found by its tag, or created."""
    from mlflow.exceptions import MlflowException

    if known and known.run_id:
        try:
            return client.get_run(known.run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # otherwise the store was made anew
                raise
    if runs := client.search_runs([experiment], f"tags.`lcfs.launch_id` = '{launch.launch_id}'"):
        return runs[0]
    tags = {"lcfs.launch_id": launch.launch_id, "lcfs.pid": str(launch.pid), "lcfs.host": launch.host}
    return client.create_run(experiment, round(1000 * launch.started), tags, run_name=f"launch of {launch.study}")


def _tags(launch: Launch) -> dict[str, str]:
    return {
        "lcfs.kind": "launch",
        "lcfs.study": launch.study,
        "lcfs.scale": launch.scale,
        "lcfs.cells": str(len(launch.cells)),
        "claim": launch.claim,
        "expected": launch.expected,
        "paper": launch.item,
        "mlflow.note.content": _note(launch),
    }


def _note(launch: Launch) -> str:
    """Markdown that MLflow shows as a description."""
    return f"**Claim**: {launch.claim}\n\n**Expected**: {launch.expected}\n\n**Paper**: {launch.item}"
