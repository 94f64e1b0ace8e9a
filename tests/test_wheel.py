"""Surface: the wheel has everything that the installed commands need, seen outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("lcfs", "theory", "studies", "paper_figures")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy without network, so that nothing stale in the checkout can get into it."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", built, source, at=source)
    return next(built.glob("*.whl"))


def _run(*words: str | Path, at: Path) -> str:
    """Output of a command outside the checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(list(map(str, words)), cwd=at, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    """Modules and data: records, policies, digitised numbers, py.typed."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert inside == files
    assert "lcfs/py.typed" in inside
    assert any(name.startswith("studies/records/") for name in inside)


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lcfs` as pip installs it into a fresh environment that borrows our libraries, but not our checkout."""
    place = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", place, at=place)
    python = place / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)})
    (Path(paths["purelib"]) / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, at=place)
    return place / "bin" / "lcfs"


def test_installed_commands_know_nothing_of_the_checkout(command: Path, tmp_path: Path) -> None:
    """Import, a figure from the records inside the wheel, and a certificate that came with it."""
    where = _run(command.with_name("python"), "-c", "import lcfs, studies; print(lcfs.__file__)", at=tmp_path)
    assert where.startswith(str(command.parent.parent))
    _run(command, "figure", "4", at=tmp_path)
    assert (tmp_path / "figures" / "figure4.png").exists()


@pytest.mark.slow
def test_demo_bound_certify_and_verify(command: Path, tmp_path: Path) -> None:
    _run(command, "demo", "--seeds", "1", "--epochs", "1", at=tmp_path)
    run = tmp_path / "run"
    _run(command, "train", "s-fc-beta-lasso", "--base-channels", "1", "--epochs", "1", "--run", run, at=tmp_path)
    assert "occam" in _run(command, "bound", run, "--errors", "0.5", "--samples", "1437", at=tmp_path)
    _run(command, "certify", run, "-o", "net.cert", at=tmp_path)
    assert "net.cert: verified" in _run(command, "verify", "net.cert", at=tmp_path)
