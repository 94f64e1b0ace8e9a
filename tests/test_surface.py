"""Surface: the public names as a snapshot, and imports that run one way, paper_figures → studies → lcfs → theory."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("theory", "lcfs", "studies", "paper_figures")

PUBLIC = {
    "lcfs": [
        "ARCHITECTURES",
        "BetaLasso",
        "InputError",
        "LocallyConnected2d",
        "build",
        "certify",
        "count_weights",
        "embed",
        "load_state",
        "parameter_groups",
        "project",
        "verify",
    ],
    "theory": ["bounds"],
}


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(module.__all__) == PUBLIC[package]
    assert [name for name in PUBLIC[package] if not hasattr(module, name)] == []


def _imports(file: Path) -> set[str]:
    """Names of the top-level packages that a file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


FILES = [(package, file) for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize(("package", "file"), FILES, ids=[str(file.relative_to(ROOT)) for _, file in FILES])
def test_imports_run_one_way(package: str, file: Path) -> None:
    attic = ROOT / "lcfs" / "cli" in file.parents  # it imports whom it likes, and nobody imports it
    above = set() if attic else set(PACKAGES[PACKAGES.index(package) + 1 :])
    if package == "theory":
        above |= {"torch", "mlflow"}
    if ROOT / "lcfs" / "tracking" not in file.parents:
        above.add("mlflow")
    assert _imports(file) & above == set()
