"""Surface: `import lcfs` is instant, the type checker sees its names, and each says what a caller must know."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lcfs

ROOT = Path(__file__).parent.parent
FUNCTIONS = [name for name in lcfs.__all__ if inspect.isroutine(getattr(lcfs, name))]
CLASSES = [name for name in lcfs.__all__ if inspect.isclass(getattr(lcfs, name))]


def test_import_needs_neither_torch_nor_numpy() -> None:
    code = "import sys, lcfs; print([m for m in ('torch', 'numpy', 'mlflow') if m in sys.modules], dir(lcfs))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert output.split("]")[0] == "["
    assert "BetaLasso" in output


def test_static_and_lazy_imports_agree() -> None:
    """What the type checker reads and what Python imports are the same objects."""
    tree = ast.parse((ROOT / "lcfs" / "__init__.py").read_text())
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "importlib"]
    static = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in statements
        if node.module != "typing"
        for alias in node.names
    }
    lazy = {name: "lcfs." + (origin if ":" in origin else f"{origin}:{name}") for name, origin in lcfs._ORIGINS.items()}
    assert static == lazy
    assert sorted(static) == sorted(lcfs.__all__)


def _pyrefly(folder: Path, program: str) -> list[str]:
    """Messages of the type checker about a program that imports lcfs as an installed package."""
    (folder / "program.py").write_text(program)
    interpreter, paths = f'python-interpreter-path = "{sys.executable}"\n', f'search-path = ["{ROOT}"]\n'
    (folder / "pyrefly.toml").write_text(f'project-includes = ["program.py"]\n{interpreter}{paths}')
    command = [Path(sys.executable).with_name("pyrefly"), "check", "--output-format", "min-text"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if "program.py:" in line]


def test_every_public_name_has_a_type(tmp_path: Path) -> None:
    reveal = "\n".join(f"reveal_type(lcfs.{name})" for name in lcfs.__all__)
    found = _pyrefly(tmp_path, f"from typing import reveal_type\nimport lcfs\n{reveal}\n")
    types = [re.search(r"revealed type: (.*) \[reveal-type\]", line) for line in found]
    assert len(types) == len(lcfs.__all__)
    assert [name for name, match in zip(lcfs.__all__, types, strict=True) if not match or "Any" in match[1][:4]] == []


@pytest.mark.parametrize(
    "wrong",
    [
        'lcfs.build("s-fc", base_channels="16")',
        'lcfs.TrainConfig("s-fcc")',
        'lcfs.load_data("digits").train.pixels',
        'lcfs.bound("net.pt", train_error=0.1)',
        'lcfs.bound("net.pt", train_error=0.1, samples=10).lengths',
        "lcfs.no_such_name",
    ],
)
def test_a_wrong_use_is_an_error(tmp_path: Path, wrong: str) -> None:
    assert any("ERROR" in line for line in _pyrefly(tmp_path, f"import lcfs\n{wrong}\n"))


_UNDOCUMENTED = {
    "certify": {"Returns:", "Source:", ">>>"},
    "load_state": {"path", "Returns:", "Source:", ">>>"},
    "verify": {"Returns:", "Source:", ">>>"},
}
"""Parts that a docstring lacks still; the list only shrinks."""


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_docstrings_say_what_a_caller_must_know(name: str) -> None:
    assert _lacking(getattr(lcfs, name)) <= _UNDOCUMENTED.get(name, set())


def _lacking(public: object) -> set[str]:
    text = inspect.getdoc(public) or ""
    parameters = [] if inspect.isclass(public) else list(inspect.signature(public).parameters)
    described = re.sub(r"(?s).*\nArgs:", "", text) if "\nArgs:" in text else ""
    lacking = {p for p in parameters if not re.search(rf"^ +(\w+, )*{p}(, \w+)*:", described, re.MULTILINE)}
    if not inspect.isclass(public):
        lacking |= {part for part in ("Returns:", "Raises:") if part not in text}
        lacking |= {"Source:"} if "Source:" not in text else set()
    return lacking | ({">>>"} if ">>>" not in text else set())
