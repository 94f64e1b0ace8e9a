"""Run records: what figures and tables need of a run, in one small file, so that nothing has to be trained again."""

import json
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import studies
from lcfs.config import to_dict
from lcfs.runs import Run
from lcfs.runs.atomic import write_text_atomically

_PRIVATE = ("host", "pid")

RECORDS = Path(studies.__path__[0]) / "records"
"""The records that are part of the package."""


@dataclass(frozen=True)
class Record:
    """One run: its configuration, what it ended with, and its epochs column by column (see docs of the run directory).

    status: finished, diverged, failed, or open where the time was over; `metrics` are empty for a run that failed or is
    open.
    """

    name: str
    status: str
    config: dict[str, Any]
    metrics: dict[str, float]
    epochs: dict[str, list[float]]
    environment: dict[str, Any]
    samples: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Estimate:
    """Mean over n runs with its standard error, nan for n = 1."""

    n: int
    mean: float
    standard_error: float

    def __format__(self, spec: str) -> str:
        spread = "" if math.isnan(self.standard_error) else f" ± {self.standard_error:{spec}}"
        return f"{self.mean:{spec}}{spread}"


def estimate(values: Iterable[float]) -> Estimate:
    """Mean and standard error of the mean. Raises ValueError if there are no values.

    >>> f"{estimate([1.0, 2.0, 3.0]):.2f}"
    '2.00 ± 0.58'
    """
    numbers = list(values)
    if not numbers:
        raise ValueError("a mean needs at least one value")
    spread = statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else math.nan
    return Estimate(len(numbers), statistics.fmean(numbers), spread)


def record_of(run: Run) -> Record:
    """The record of a run that has ended."""
    summary = run.summary() or {}
    config = to_dict(run.config())
    config.pop("data_dir")
    environment = json.loads((run.path / "environment.json").read_text())
    rows = run.metrics()
    columns = {key: [_short(row[key]) for row in rows] for key in (rows[0] if rows else ()) if key != "time"}
    return Record(
        name=run.path.name,
        status=summary.get("status", "failed"),
        config=config,
        metrics=summary.get("metrics", {}),
        epochs=columns,
        environment={key: value for key, value in environment.items() if key not in _PRIVATE},
        samples=summary.get("samples", 0),
        reason=summary.get("tags", {}).get("reason", "" if summary else "its process ended without a word"),
    )


def write(record: Record, folder: Path) -> Path:
    """One JSON file, written atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.name}.json"
    write_text_atomically(json.dumps(vars(record)) + "\n", path)
    return path


def read_one(path: Path) -> Record | None:
    """The record in a file, or None if there is no file."""
    return Record(**json.loads(path.read_text())) if path.exists() else None


def read(folder: Path, wanted: Callable[[Record], bool] = lambda record: True) -> list[Record]:
    """The records of a folder by name."""
    records = (Record(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json")))
    return [record for record in records if wanted(record)]


def _short(value: float) -> float:
    """Seven significant digits of what is no integer: records are committed."""
    return value if isinstance(value, int) else float(f"{value:.7g}")
