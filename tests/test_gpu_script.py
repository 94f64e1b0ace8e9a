"""Round trip: the script for a GPU, tried on the CPU; what is done is not done again."""

import subprocess
import sys
from pathlib import Path

import pytest

from studies.engine.records import read

SCRIPT = Path(__file__).parent.parent / "scripts" / "gpu.py"


@pytest.mark.slow
def test_everything_at_a_tiny_size_and_nothing_twice(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--try", "--price-per-hour", "3"]
    subprocess.run(command, check=True)
    records = tmp_path / "records"
    assert all((records / name).stat().st_size for name in ("gpu_update.json", "gpu_step.json"))
    runs = read(records / "trainings")
    assert len(runs) == 6
    assert all(run.status == "finished" and run.metrics["final/cost"] >= 0 for run in runs)
    paths = [*records.rglob("*.json"), *tmp_path.rglob("summary.json")]
    times = {path: path.stat().st_mtime_ns for path in paths}
    subprocess.run(command[:-2], check=True)
    assert {path: path.stat().st_mtime_ns for path in paths} == times
