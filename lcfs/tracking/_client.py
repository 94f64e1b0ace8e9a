"""Reaching MLflow's store: a quiet client, its sqlite file, and the runs of killed processes."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lcfs.errors import InputError
from lcfs.runs.atomic import make_folder
from lcfs.tracking._database import check, create, unusable

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # a dead server must not hold up training
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes of 240 MB each, for features that need an LLM
}


def connect(uri: str) -> Any:
    """A client without global state; several processes that open a fresh sqlite store at once take turns.

    Raises:
        InputError: a sqlite store that cannot be used, or whose folder cannot be written.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for logger in ("alembic", "mlflow"):  # after the import, which sets them up
        logging.getLogger(logger).setLevel(logging.WARNING)
    if not (database := database_file(uri)):
        return MlflowClient(tracking_uri=uri)
    make_folder(database.parent)
    with locked(database.with_name(database.name + ".lock")):
        if not database.exists() or not database.stat().st_size:
            create(database)
        check(database)
        try:
            return MlflowClient(tracking_uri=uri)
        except Exception as error:  # of whichever of its libraries
            raise unusable(database, error) from error


def database_file(uri: str) -> Path | None:
    """The file of a sqlite store, None for any other store."""
    return Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:///") else None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; other processes wait. Raises InputError if its folder cannot be written."""
    try:
        handle = path.open("w")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); make its folder writable") from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def close_killed(client: Any) -> None:
    """End, as KILLED, the runs that are marked as running in a process of this machine that is no more."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'") if experiments else ():
        tags = run.data.tags
        if tags.get("lcfs.host") == socket.gethostname() and not _alive(tags.get("lcfs.pid", "")):
            client.set_terminated(run.info.run_id, "KILLED")


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:  # someone else's
        return True
    except (ValueError, OSError):
        return False
    return True
