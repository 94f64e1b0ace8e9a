"""lcfs sync and lcfs ui: runs in MLflow."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from lcfs.cli.arguments import parse
from lcfs.errors import InputError


@dataclass(frozen=True)
class SyncOptions:
    """Send run directories to MLflow, as far as it lacks them.

    To MLFLOW_TRACKING_URI, or else to a sqlite file in the folder.
    """

    runs: tyro.conf.Positional[Path] = Path("runs")
    """Folder of run directories."""


@dataclass(frozen=True)
class UiOptions:
    """Serve MLflow's pages on this machine and print where each study opens."""

    runs: tyro.conf.Positional[Path] = Path("runs")
    """Folder of run directories."""
    study: str | None = None
    """Print the address of this study alone."""
    port: int = 5000
    """Port on 127.0.0.1."""


def sync(arguments: list[str]) -> int:
    """Replay run directories into MLflow; what is there already is not sent again."""
    runs = parse(SyncOptions, arguments, "lcfs sync").runs
    tracking = _tracking(runs)
    failed = 0
    for result in tracking.sync(runs, tracking.default_uri(runs)):
        print(result)
        failed += bool(getattr(result, "error", None))
    return int(failed > 0)


def ui(arguments: list[str]) -> int:
    """Open the comparison of runs in MLflow."""
    options = parse(UiOptions, arguments, "lcfs ui")
    runs, study, port = options.runs, options.study, options.port
    tracking = _tracking(runs)
    uri = tracking.default_uri(runs)
    tracking.prepare(uri)  # runs of killed processes are shown as killed
    address = tracking.server(uri) or f"http://127.0.0.1:{port}"
    urls = tracking.study_urls(uri, address)
    if study is not None:
        urls = {name: url for name, url in urls.items() if study in (name, name.rsplit(" (", 1)[0])}
        if not urls:
            raise InputError(f"MLflow has no study {study!r}; lcfs study {study} runs it, lcfs sync {runs} sends it")
    for name, url in urls.items():
        print(f"{name}: {url}", flush=True)
    if tracking.server(uri):
        print(address)
        return 0
    if not urls:
        print(address, flush=True)
    command = tracking.ui_command(uri, port, runs)
    os.execvp(command[0], command)


def _tracking(runs: Path) -> Any:
    from lcfs import tracking

    if not runs.is_dir():
        raise InputError(f"{runs} is not a folder of runs; name the one that lcfs train wrote to")
    if not tracking.available():
        raise InputError("MLflow is not installed here; install it with: pip install 'lcfs[mlflow]'")
    return tracking
