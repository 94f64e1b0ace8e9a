"""Surface: every figure is drawn from the committed records, with the numbers behind it."""

import csv
import pkgutil
from pathlib import Path

import pytest

import paper_figures
from lcfs import cli
from lcfs.cli import _COMMANDS
from paper_figures import style

FIGURES = [module.name for module in pkgutil.iter_modules(paper_figures.__path__) if module.name != "style"]


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("ignore:'paper_figures:RuntimeWarning")  # runpy's: the module is imported already
def test_every_figure_is_drawn(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = call(capsys, "figure", name.removeprefix("figure"), "--folder", str(tmp_path))
    assert code == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}{suffix}" for suffix in (".pdf", ".png", ".csv")}
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    rows = list(csv.DictReader((tmp_path / f"{name}.csv").read_text().splitlines()))
    assert len(rows) > 4


def test_the_command_lists_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert "figure" in _COMMANDS
    code, out, _ = call(capsys, "figure", "list")
    assert code == 0
    assert len(out.splitlines()) == len(FIGURES)
    code, _, err = call(capsys, "figure", "99")
    assert code == 2
    assert "there is no figure '99'" in err


def test_a_figure_without_numbers_is_not_kept(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    with pytest.raises(ValueError, match="numbers behind"):
        style.save(Figure(), "empty", [], tmp_path)
    assert not list(tmp_path.iterdir())
