"""MLflow as the mirror of run directories; the only package that imports mlflow.

A run reaches MLflow by replaying its directory: live, in small batches while it trains, and later by `lcfs sync`, over
one code path. What was sent is remembered in RUN/mlflow.json; if that is lost, or a send was broken off, the run is
found by its tag `lcfs.run_id` and only the points that MLflow lacks are sent.
"""

import importlib.util
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lcfs.tracking._client import close_killed, connect, database_file
from lcfs.tracking._replay import send


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
    close_killed(connect(uri))


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
            send(self._run, self._uri, self._experiment, claim=not self._claimed, closing=closing)
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
        store = connect(uri)
        store.search_experiments(max_results=1)
    except Exception as error:  # a dead store is waited for once, not once a run
        return [SyncResult(path, 0, _line(error)) for path in paths]
    results = []
    for path in paths:
        try:
            results.append(SyncResult(path, send(path, uri)))
        except Exception as error:
            results.append(SyncResult(path, 0, _line(error)))
    close_killed(store)
    return results


def ui_command(uri: str, port: int) -> list[str]:
    """The command that serves the comparison on this machine, pictures included."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    if database := database_file(uri):
        root = database.parent / "mlartifacts"
        command += ["--default-artifact-root", root.as_uri(), "--artifacts-destination", root.as_uri()]
    return [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
