"""MLflow as the mirror of run directories; the only package that imports mlflow.

A run reaches MLflow by replaying its directory: live, in small batches while it trains, and later by `lcfs sync`, over
one code path. What was sent is remembered in RUN/mlflow.json; if that is lost, or a send was broken off, the run is
found by its tag `lcfs.run_id` and only the points that MLflow lacks are sent.

A study is an experiment, each launch of it a run that is the parent of the cells it trained. A run directory that is a
cell of several studies is one run in the experiment of each, so that every study can be compared by itself.
"""

import importlib.util
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lcfs.errors import InputError
from lcfs.runs.launch import Launch, launches_below, read_launch
from lcfs.runs.launch import Status as Status
from lcfs.tracking import _view
from lcfs.tracking._client import close_killed, connect, database_file
from lcfs.tracking._database import unusable
from lcfs.tracking._live import LaunchMirror as LaunchMirror
from lcfs.tracking._live import line
from lcfs.tracking._parents import places, send_launch
from lcfs.tracking._records import Place, read_states
from lcfs.tracking._replay import send
from lcfs.tracking._writing import artifact_folder, is_server


@dataclass(frozen=True)
class SyncResult:
    """What `sync` did with one run directory: epochs sent, or why it, or a launch, failed."""

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
    """Create the store once, before workers start, and close the runs of killed processes of this machine.

    Raises:
        InputError: a store that cannot be used, or a server that does not answer.
    """
    client = connect(uri)
    try:
        close_killed(client)
    except Exception as error:  # of whichever of MLflow's libraries
        database = database_file(uri)
        if database:
            raise unusable(database, error) from error
        raise InputError(f"MLflow at {uri} cannot be used ({line(error)}); check MLFLOW_TRACKING_URI") from error


class Mirror:
    """Sends one run directory, new lines only; never raises, remembers the failure in `failed` instead."""

    def __init__(self, run: Path, uri: str, experiment: str, min_interval_s: float = 10.0) -> None:
        self.failed: str | None = None
        self._run, self._uri, self._place, self._interval = run, uri, Place(experiment), min_interval_s
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
            send(self._run, self._uri, self._place, claim=not self._claimed, closing=closing)
            self._claimed, self.failed = True, None
        except Exception as error:  # never fatal to training; lcfs sync replays
            self.failed = line(error)
        self._last = time.monotonic()


def sync(runs: Path, uri: str) -> list[SyncResult]:
    """Replay all launches and run directories below a folder; nothing is sent twice, and one that fails keeps back no
    other."""
    paths = sorted(p.parent for p in runs.rglob("config.json") if (p.parent / "environment.json").exists())
    folders = launches_below(runs)
    if not paths and not folders:
        return []
    try:
        store = connect(uri)
        store.search_experiments(max_results=1)
    except Exception as error:  # a dead store is waited for once, not once a run
        return [SyncResult(path, 0, line(error)) for path in paths]
    results = []
    launches: dict[Path, list[tuple[Launch, str | None]]] = {}
    for folder in folders:
        launch, parent = None, None
        try:
            launch = read_launch(folder)
            parent = send_launch(folder, uri)
        except Exception as error:
            results.append(SyncResult(folder, 0, line(error)))
        if launch:
            launches.setdefault(folder.parent.parent, []).append((launch, parent))
    for path in paths:
        try:
            shown = _places(path, launches.get(path.parent, []))
            results.append(SyncResult(path, sum(send(path, uri, place) for place in shown)))
        except Exception as error:
            results.append(SyncResult(path, 0, line(error)))
    close_killed(store)
    return results


def study_urls(uri: str, address: str) -> Mapping[str, str]:
    """For each study's experiment, the newest first, the address of its view of the runs.

    Args:
        uri: MLflow's store.
        address: where MLflow's pages are served, as http://127.0.0.1:5000.
    """
    experiments = connect(uri).search_experiments(order_by=["last_update_time DESC"])
    return {
        one.name: f"{address}/#/experiments/{one.experiment_id}/runs?workflowType=machine_learning"
        f"&viewStateShareKey={_view.KEY}"
        for one in experiments
        if _view.TAG in one.tags
    }


def ui_command(uri: str, port: int, runs: Path) -> list[str]:
    """The command that serves the comparison on this machine, pictures included."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    if root := artifact_folder(uri, runs):
        command += ["--default-artifact-root", root.as_uri(), "--artifacts-destination", root.as_uri()]
    return [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def server(uri: str) -> str | None:
    """The address of the pages if the store is a server, which need not be started here."""
    return uri.rstrip("/") if is_server(uri) else None


def _places(path: Path, launches: list[tuple[Launch, str | None]]) -> list[Place | None]:
    """Where a run is shown: in its studies, and for itself where it was shown before or if it is in no study."""
    shown: list[Place | None] = [*places(path, launches)]
    states = read_states(path)
    shown += [Place(experiment) for experiment, state in states.items() if not state.of_study]
    return shown if shown or states else [None]
