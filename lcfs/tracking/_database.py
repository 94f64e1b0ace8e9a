"""The sqlite file of a store: made whole or not at all, and named with its remedy where it cannot be used."""

import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from lcfs.errors import InputError, brief


def create(database: Path) -> None:
    """Make a fresh store under another name and rename it, since one that is broken off can never be finished.

    Whoever calls it holds the lock of the store, so that what lies there of the kind is a killed process'.
    """
    for leftover in database.parent.glob(f".{database.name}.*.new*"):
        leftover.unlink(missing_ok=True)
    new = database.with_name(f".{database.name}.{uuid.uuid4().hex}.new")
    try:
        _migrate(new, (database.parent / "mlartifacts").as_uri())
        os.replace(new, database)
    except Exception as error:  # of whichever of MLflow's libraries, as on a full disk
        for leftover in new.parent.glob(f"{new.name}*"):
            leftover.unlink(missing_ok=True)
        raise InputError(f"{database} cannot be made ({brief(error)}); make room or choose another folder") from error


def check(database: Path) -> None:
    """Raises InputError if the file is no sqlite database, or one whose tables were never finished.

    MLflow itself would try for minutes.
    """
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise unusable(database, error) from error
    if any(name.startswith("_alembic_tmp_") for name in tables) or not {"experiments", "alembic_version"} <= tables:
        raise unusable(database, ValueError("its tables were never finished"))


def unusable(database: Path, error: Exception) -> InputError:
    """What to do about a store that cannot be used."""
    remedy = f"move it away, and lcfs sync {database.parent} makes it anew from the run directories"
    if "out-of-date database schema" in str(error):
        upgrade = f"take a copy and run: mlflow db upgrade sqlite:///{database}"
        return InputError(f"{database} is of an older MLflow; {upgrade} (or {remedy})")
    return InputError(f"{database} cannot be used as MLflow's store ({brief(error)}); {remedy}")


def _migrate(database: Path, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{database}", artifacts).engine.dispose()
