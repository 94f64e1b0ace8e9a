"""Surface: every help text as a snapshot, in 80 columns.

LCFS_WRITE_HELP=1 python -m pytest tests/lcfs/cli/test_help.py writes them anew; read the difference before you commit.
"""

import os
from pathlib import Path

import pytest

from lcfs import cli
from lcfs.cli.dispatch import COMMANDS

GOLDEN = Path(__file__).parents[2] / "golden" / "help"
WORDS = {"lcfs": [], **{name: [name] for name in COMMANDS}, "train-s-fc-beta-lasso": ["train", "s-fc-beta-lasso"]}


def _help(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--help"])
    assert not stop.value.code
    return "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) + "\n"


@pytest.mark.parametrize("name", WORDS)
def test_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text, file = _help(WORDS[name], monkeypatch, capsys), GOLDEN / f"{name}.txt"
    if os.environ.get("LCFS_WRITE_HELP"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert text == file.read_text(), "if the change is meant: LCFS_WRITE_HELP=1"


def test_no_snapshot_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(WORDS)


@pytest.mark.parametrize("name", WORDS)
def test_help_fits_80_columns(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert [line for line in _help(WORDS[name], monkeypatch, capsys).splitlines() if len(line) > 80] == []
