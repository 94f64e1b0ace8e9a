"""Surface: what README and docs tell their reader to type exists, and their numbers are those of the records."""

import importlib
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lcfs
from lcfs import cli
from lcfs.config import to_dict
from paper_figures.tools import selecting
from studies.engine import records
from studies.engine.scales import SCALES
from studies.grids import sharing_and_locality, training_fully_connected
from theory.verdicts import at_most

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINES = sorted(
    {
        line.split("#")[0].strip()
        for page in PAGES
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
    }
)


def script(name: str) -> ModuleType:
    """A module of scripts/, which is no package."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def test_numbers_are_those_of_the_records() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write_numbers.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_number_changed_by_hand_is_written_anew() -> None:
    """Negative control of the test before."""
    page = (ROOT / "docs" / "performance.md").read_text()
    changed = page.replace("| S-FC, 150 | 256,240,800 |", "| S-FC, 150 | 256,240,801 |")
    assert changed != page
    assert script("write_numbers").fill(changed) == page


def test_places_of_the_pages_are_those_that_the_script_writes() -> None:
    marked = {name for page in PAGES for name in re.findall(r"^<!-- /(.*) -->$", page.read_text(), re.MULTILINE)}
    assert marked == set(script("write_numbers").PLACES)
    with pytest.raises(KeyError):
        script("write_numbers").fill("<!-- nothing -->\n1\n<!-- /nothing -->")


def test_the_paper_in_miniature_comes_first_once_it_has_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run a row, with made-up results in a folder that goes away; until then the headline is CIFAR-10's."""
    trained = script("number_tables.trained")
    assert trained.has_records(trained.SIGNALS) == any((records.RECORDS / "signals").glob("*.json"))
    example = records.read(records.RECORDS / "laptop")[0]
    for study in (training_fully_connected, sharing_and_locality):
        for cell in study.cells(SCALES["signals"]):
            record = replace(example, name=f"{cell.row}-{cell.config.seed}", config=to_dict(cell.config))
            records.write(record, tmp_path / "signals")
    for module in (trained, selecting):
        monkeypatch.setattr(module, "RECORDS", tmp_path)
    assert "ours (MNIST-1D, α = 32, 200 epochs)" in trained.headline()
    assert "| S-FC, β = 10 (paper 50) | 85.19 |" in trained.headline()
    assert trained.signals_section().count("\n| D-CONV | 88.84 / 89.79 | 5 |") == 1


@given(st.floats(0, 1))
def test_bounds_are_printed_rounded_up(bound: float) -> None:
    printed = Fraction(at_most(bound).removesuffix(" %"))
    assert 0 <= printed - 100 * Fraction(bound) < Fraction(1, 100)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("lcfs ") and "--help" not in line])
def test_every_command_takes_the_options_shown(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = line.replace("[", "").replace("]", "").split()[1:]
    with_preset = words[0] == "train" and not words[1].startswith("-")
    with pytest.raises(SystemExit) as stop:
        cli.main([*words[: 1 + with_preset], "--help"])
    help_text = capsys.readouterr().out
    assert not stop.value.code
    assert [word for word in words if word.startswith("--") and word not in help_text] == []


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_every_make_target_exists(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 140


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_module_named_exists(page: Path) -> None:
    text = re.sub(r"```console.*?```", "", page.read_text(), flags=re.DOTALL)
    named = re.findall(r"`((?:lcfs|theory|studies|paper_figures|benchmarks|scripts|tests)/[\w/.]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
    modules = re.findall(r"`python -m ([\w.]+)", text)
    paths = [ROOT / Path(*module.split(".")) for module in modules]
    assert [path for path in paths if not (path.with_suffix(".py").exists() or path.is_dir())] == []


def test_reference_has_every_public_name() -> None:
    text = (ROOT / "docs" / "reference" / "lcfs.md").read_text()
    assert [name for name in lcfs.__all__ if not re.search(rf"\blcfs\.{name}\b", text)] == []


def test_one_version() -> None:
    assert f"version: {lcfs.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {lcfs.__version__} (" in (ROOT / "CHANGELOG.md").read_text()
