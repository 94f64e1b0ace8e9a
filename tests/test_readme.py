"""Surface: what README and docs tell their reader to type exists, and their numbers are those of the records."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lcfs
from lcfs import cli

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


def write_numbers(root: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, root / "scripts" / "write_numbers.py", *options], capture_output=True, text=True
    )


def test_numbers_are_those_of_the_records() -> None:
    done = write_numbers(ROOT, "--check")
    assert done.returncode == 0, done.stderr


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
