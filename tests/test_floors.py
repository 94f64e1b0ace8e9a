"""Surface: imports run one way, and every room of lcfs has its floor; negative controls of the checker."""

from pathlib import Path

import _floors
import pytest

ROOT = Path(__file__).parent.parent
FILES = [file for package in ("theory", "lcfs", "studies", "paper_figures") for file in (ROOT / package).rglob("*.py")]
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in sorted(FILES)
}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    assert _floors.violations(module, MODULES[module].read_text()) == []


def test_every_room_has_one_floor() -> None:
    rooms = {name.split(".")[1] for name in MODULES if name.startswith("lcfs.")} - {"cli"}
    assert sorted(room for floor in _floors.ROOMS for room in floor) == sorted(rooms)


def test_every_exception_is_still_one() -> None:
    """Whoever mends an import takes it from the list."""
    needed = {
        (module, theirs)
        for module, theirs in _floors.EXCEPTIONS
        if any(imported.startswith(theirs) for imported in _floors.imports(MODULES[module].read_text()))
    }
    assert needed == _floors.EXCEPTIONS


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("theory.bounds", "from lcfs.errors import InputError"),
        ("theory.codes.bits", "import torch.nn"),
        ("lcfs.training.loop", "def f():\n    from studies.engine import runner"),
        ("lcfs.runs.run", "from importlib import import_module\nimport_module('studies.engine.command')"),
        ("lcfs.runs.run", "import importlib\nimportlib.import_module(f'paper_figures.{name}')"),
        ("studies.demo", "import paper_figures.figure4"),
        ("studies.demo", "from lcfs.cli import dispatch"),
        ("studies.demo", "from lcfs import cli"),
        ("lcfs.terminal", "import lcfs.cli.reports"),
        ("lcfs.data.datasets", "from lcfs.training.loop import train"),
        ("lcfs.data.datasets", "from lcfs import runs"),
        ("lcfs.data.datasets", "import lcfs.nets.layers"),
        ("lcfs.runs.run", "from lcfs import build"),
        ("lcfs.runs.run", "import lcfs"),
        ("lcfs.runs.run", "import mlflow"),
        ("studies.engine.runner", "from mlflow.entities import Run"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str) -> None:
    assert len(_floors.violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("lcfs.cli.figure", "import paper_figures\nfrom studies.engine import command\nfrom lcfs.cli import reports"),
        ("lcfs.tracking._client", "import mlflow"),
        ("lcfs.training.loop", "from lcfs import data, optim\nimport torch\nfrom theory import bounds"),
        ("lcfs.runs.run", "from lcfs import __version__"),
        ("studies.demo", "import lcfs\nfrom lcfs import build"),
    ],
)
def test_allowed_imports_are_not(module: str, source: str) -> None:
    assert _floors.violations(module, source) == []
