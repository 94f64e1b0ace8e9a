"""lcfs sync and lcfs ui: runs in MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from lcfs.cli import serving
from lcfs.cli.arguments import parse
from lcfs.errors import InputError, nearest


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
    """Port on 127.0.0.1, in 1…65535."""
    no_browser: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the address and open no browser."""


def sync(arguments: list[str]) -> int:
    """Replay run directories into MLflow; what is there already is not sent again."""
    runs = parse(SyncOptions, arguments, "lcfs sync").runs
    tracking = _tracking(runs)
    results = tracking.sync(runs, tracking.default_uri(runs))
    if not results:
        print(f"there is no run below {runs}; lcfs train writes to runs, lcfs study to runs/studies")
    for result in results:
        print(result)
    return int(any(result.error for result in results))


def ui(arguments: list[str]) -> int:
    """Open the comparison of runs in MLflow, until Ctrl-C."""
    options = parse(UiOptions, arguments, "lcfs ui")
    tracking = _tracking(options.runs)
    uri = tracking.default_uri(options.runs)
    if not (server := tracking.server(uri)):
        serving.check_port(options.port)
    tracking.prepare(uri)  # runs of killed processes are shown as killed
    address = server or f"http://{serving.HOST}:{options.port}"
    opened = _addresses(tracking.study_urls(uri, address), options) or {"MLflow": address}
    if server:
        _announce(opened, options)
        return 0
    command = tracking.ui_command(uri, options.port, options.runs)
    try:
        with serving.served(command, options.port, options.runs / "mlflow-server.log") as process:
            _announce(opened, options)
            return process.wait()
    except KeyboardInterrupt:
        return 0


def _addresses(urls: Mapping[str, str], options: UiOptions) -> dict[str, str]:
    """The addresses of the pages that were asked for, by name."""
    if options.study is None:
        return dict(urls)
    chosen = {name: url for name, url in urls.items() if options.study in (name, name.rsplit(" (", 1)[0])}
    if not chosen:
        known = {name.rsplit(" (", 1)[0] for name in urls}
        raise InputError(
            f"MLflow has no study {options.study!r}{nearest(options.study, known)}; "
            f"lcfs study {options.study} runs it, lcfs sync {options.runs} sends it"
        )
    return chosen


def _announce(opened: Mapping[str, str], options: UiOptions) -> None:
    for name, url in opened.items():
        print(f"{name}: {url}", flush=True)
    if not options.no_browser:
        serving.open_in_browser(next(iter(opened.values())))


def _tracking(runs: Path) -> Any:
    from lcfs import tracking

    if not runs.is_dir():
        raise InputError(f"{runs} is not a folder of runs; name the one that lcfs train wrote to")
    if not tracking.available():
        raise InputError("MLflow is not installed here; install it with: pip install 'lcfs[mlflow]'")
    return tracking
