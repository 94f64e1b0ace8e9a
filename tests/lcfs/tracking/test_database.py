"""Round trip, refusals: a store is made whole or not at all, and one that cannot be used is named with its remedy."""

import errno
import multiprocessing
import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from lcfs import cli, tracking
from lcfs.cli import dispatch
from lcfs.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # mlflow's own


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    return int(stop.value.code or 0), capsys.readouterr().err


def test_a_creation_that_was_killed_is_made_anew(tmp_path: Path) -> None:
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  before the fork, to kill the creation and not the import

    creating = multiprocessing.get_context("fork").Process(
        target=lambda: tracking.prepare(tracking.default_uri(tmp_path))
    )
    creating.start()
    while not any(file.stat().st_size for file in tmp_path.glob(".mlflow.db.*.new")):
        assert creating.is_alive()
        time.sleep(0.001)
    creating.kill()
    creating.join()
    assert not (tmp_path / "mlflow.db").exists()
    tracking.prepare(tracking.default_uri(tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def _half_made(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("CREATE TABLE experiments (id TEXT)")
        connection.execute("CREATE TABLE _alembic_tmp_latest_metrics (id TEXT)")
        connection.commit()


def _without_tables(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE other (id TEXT)")
        connection.commit()


def _no_database(file: Path) -> None:
    file.write_text("years of work")


@pytest.mark.parametrize("damage", [_half_made, _without_tables, _no_database], ids=lambda f: f.__name__)
def test_an_unusable_store_is_named_with_its_remedy(tmp_path: Path, damage, capsys: pytest.CaptureFixture[str]) -> None:
    damage(tmp_path / "mlflow.db")
    before = (tmp_path / "mlflow.db").read_bytes()
    started = time.monotonic()
    code, err = call(capsys, "ui", str(tmp_path))
    assert code == 2
    assert "mlflow.db cannot be used as MLflow's store" in err
    assert f"move it away, and lcfs sync {tmp_path} makes it anew" in err
    assert err.count("\n") == 1
    assert (tmp_path / "mlflow.db").read_bytes() == before
    assert time.monotonic() - started < 60, "MLflow tries for minutes"


def test_a_store_where_nothing_can_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    code, err = call(capsys, "ui", str(tmp_path))
    assert code == 2
    assert f"{tmp_path}/file cannot be made a folder" in err
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    original = Path.open

    def read_only(self: Path, mode: str = "r", *arguments, **options):
        if self.parent == tmp_path and "r" not in mode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return original(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", read_only)
    code, err = call(capsys, "ui", str(tmp_path))
    assert (code, err) == (
        2,
        f"lcfs: {tmp_path}/mlflow.db.lock cannot be written (Permission denied); make its folder writable\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("study", "pixel_permutation", "--runs", "{}/file/runs"),
        ("demo", "--folder", "{}/file/demo"),
        ("train", "3-fc-sgd", "--run", "{}/file/run"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_folders_that_cannot_be_made_are_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    code, err = call(capsys, *(word.format(tmp_path) for word in arguments))
    assert code == 2
    assert "Not a directory" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["Permission denied", "Read-only file system", "No space left on device"])
def test_a_disk_that_refuses_is_one_sentence_wherever_it_happens(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = next(number for number in errno.errorcode if os.strerror(number) == name)

    def refused(arguments: list[str]) -> int:
        raise OSError(number, os.strerror(number), "records/x.json")

    monkeypatch.setitem(dispatch.COMMANDS, "study", refused)
    code, err = call(capsys, "study")
    assert code == 2
    assert err.startswith(f"lcfs: records/x.json cannot be read or written ({name}); make room")


def test_a_server_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match=r"MLflow at http://127\.0\.0\.1:9 cannot be used .*; check MLFLOW_TRACKING_URI"
    ):
        tracking.prepare("http://127.0.0.1:9")
    assert "mlflow" in sys.modules
