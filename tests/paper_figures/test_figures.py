"""Surface: every figure is drawn from the committed records, with the numbers behind it."""

import csv
import importlib
import pkgutil
from pathlib import Path

import pytest

import paper_figures
from lcfs import cli
from lcfs.cli.dispatch import COMMANDS
from paper_figures.tools import selecting, style
from studies.engine import study

MODULES = [
    importlib.import_module(f"paper_figures.{each.name}") for each in pkgutil.iter_modules(paper_figures.__path__)
]
FIGURES = [module.__name__.split(".")[1] for module in MODULES if hasattr(module, "draw")]

OF_STUDIES = {
    f"figure{name}" if name.isdigit() else name for each in study.names() for name in study.find(each).figures
}

NOT_RUN = {"full_width"}  # it wants a GPU
SLOW = {"lcn_function_space": pytest.mark.slow}  # it solves for critical points and flows


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in FIGURES])
def test_every_figure_is_drawn(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "figure", name.removeprefix("figure"), "--folder", str(tmp_path))
    assert code == 0, err
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}{suffix}" for suffix in (".pdf", ".png", ".csv")}
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    rows = list(csv.DictReader((tmp_path / f"{name}.csv").read_text().splitlines()))
    assert len(rows) > 4
    if name in OF_STUDIES:
        assert any(row.get("source", "ours").startswith("ours") for row in rows), "the paper's values alone"


def test_every_figure_of_a_study_is_there() -> None:
    assert set(FIGURES) >= OF_STUDIES
    assert len(OF_STUDIES) > 7


def test_the_package_has_records_of_every_study() -> None:
    """Deleting records must not go unnoticed: figures and tables would show less."""
    by_study = {name: selecting.by_row(study.find(name).cells) for name in study.names()}
    assert {name for name, rows in by_study.items() if not all(rows.values())} == NOT_RUN, "studies with empty rows"


def test_the_command_lists_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "figure" in COMMANDS
    code, out, _ = call(capsys, "figure", "list")
    assert code == 0
    assert len(out.splitlines()) == len(FIGURES)
    assert {"table1", "table2", *(f"figure{number}" for number in range(1, 7))} <= set(FIGURES)
    code, _, err = call(capsys, "figure", "99")
    assert code == 2
    assert "there is no figure '99'" in err
    (tmp_path / "file").touch()
    code, _, err = call(capsys, "figure", "table1", "--folder", str(tmp_path / "file"))
    assert code == 2
    assert "cannot be written" in err


def test_a_figure_without_numbers_is_not_kept(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    with pytest.raises(ValueError, match="numbers behind"):
        style.save(Figure(), "empty", [], tmp_path)
    assert not list(tmp_path.iterdir())
