"""Round trip: the script for a GPU, tried on the CPU; what is done is not done again."""

import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from studies.engine.records import Record, read

SCRIPT = Path(__file__).parent.parent / "scripts" / "gpu.py"


@pytest.fixture(scope="module")
def gpu() -> Any:
    spec = spec_from_file_location("gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["gpu"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def record(seconds: float) -> Record:
    epochs = {"train/seconds": [seconds / 2, seconds / 2]}
    metrics = {"final/test_accuracy": 0.5, "final/nonzeros/conv1": 1234}
    return Record("run", "finished", {}, metrics, epochs, {"gpu": "a card"})


def test_the_headline_is_the_first_and_its_long_form_the_last(gpu: Any) -> None:
    first, *_, last = gpu.trainings()
    assert (first.config.architecture, first.config.base_channels, first.config.batch_size) == ("s-fc", 150, 512)
    assert first.config.optimizer == gpu.BETA_LASSO
    assert last.config == replace(first.config, epochs=4000)
    assert len({gpu.cell_name(training.config) for training in gpu.trainings()}) == 6


def test_seconds_and_cost(gpu: Any) -> None:
    priced = gpu.priced(record(1800.0), 4.0)
    assert (priced.metrics["final/seconds"], priced.metrics["final/cost"]) == (1800, 2)
    assert "final/cost" not in gpu.priced(record(1800.0), None).metrics
    training = gpu.Training("S-FC", gpu.trainings()[0].config, 72.77)
    expected = "S-FC, 400 epochs: 50.00 % (paper 72.77); conv1 1,234 non-zeros; 1,800 s, cost 2.00; a card"
    assert gpu.line(training, priced) == expected


def test_a_training_starts_only_if_its_time_is_left(gpu: Any) -> None:
    short, *_, long = gpu.trainings()
    done = [(short, gpu.priced(record(400.0), None))]  # a second an epoch
    assert gpu.fits(long, done, time.time() + 4100)
    assert not gpu.fits(long, done, time.time() + 3900)
    assert gpu.fits(long, [], time.time() + 1)  # nothing to judge by
    assert not gpu.fits(long, [], time.time() - 1)


@pytest.mark.slow
def test_everything_at_a_tiny_size_and_nothing_twice(gpu: Any, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--try", "--price-per-hour", "3"]
    subprocess.run(command, check=True)
    records = tmp_path / "records"
    benchmarks = {records / "gpu_update.json", records / "gpu_step.json"}
    assert all(path.stat().st_size for path in benchmarks)
    for path in benchmarks:
        path.rename(tmp_path / path.name)
    found = read(records)
    assert len(found) == 6
    assert all(one.status == "finished" and one.metrics["final/cost"] >= 0 for one in found)
    for path in benchmarks:
        (tmp_path / path.name).rename(path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    subprocess.run(command[:-2], check=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == times
