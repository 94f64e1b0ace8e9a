"""What a run directory holds for MLflow, and RUN/mlflow.json, which remembers what was sent to which experiment."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lcfs.runs.atomic import write_text_atomically
from lcfs.runs.launch import DataMark

# MLflow's page of two runs (3.17) shows the first seven names in alphabetical order, and does not scroll them with the
# values: of a study's lengths and bounds go there the shortest code's and the paper's, so that `final/test_accuracy` is
# the sixth. Non-zeros of a layer are `sparsity/*` after the last epoch.
_NOT_COMPARED = ("bits/", "bound/", "final/nonzeros/")
_COMPARED = ("bits/best", "bits/theorem2", "bound/best/occam_kl")


@dataclass(frozen=True)
class Place:
    """Where a run is shown; a run that several studies share has a place in the experiment of each.

    title: MLflow's name of the run, by default the directory's. params: by default all of config.json; otherwise that
    is an artifact, as is summary.json with what `shows` leaves out.
    """

    experiment: str
    title: str | None = None
    params: Mapping[str, str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    data: tuple[DataMark, ...] = ()

    @property
    def of_study(self) -> bool:
        """Whether the run is a cell there, and not there for itself."""
        return self.params is not None

    def shows(self, metric: str) -> bool:
        """Whether a metric of summary.json is compared there."""
        return not self.of_study or metric in _COMPARED or not metric.startswith(_NOT_COMPARED)

    def digest(self) -> str:
        """Changes when there is something else to send."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class State:
    """What one experiment has. `lines` is None from before a send until after it: if broken off, MLflow is asked."""

    uri: str
    run_id: str | None = None
    lines: int | None = None
    summary: str | None = None
    place: str | None = None
    of_study: bool = False
    artifacts: dict[str, int] = field(default_factory=dict)


def read_states(path: Path) -> dict[str, State]:
    """What was sent before, by experiment; empty if nothing was, or if the file is damaged."""
    try:
        return {name: State(**values) for name, values in json.loads((path / "mlflow.json").read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):  # lost or damaged: MLflow is asked
        return {}


def write_states(path: Path, states: Mapping[str, State]) -> None:
    """Remember what was sent."""
    values = {name: asdict(state) for name, state in states.items()}
    write_text_atomically(json.dumps(values, indent=1) + "\n", path / "mlflow.json")


def read(file: Path) -> str:
    """The text of a file, empty if there is none."""
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """("a.b", value) for each value of nested mappings."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def plain_place(path: Path) -> Place:
    """The place of a run that is in no study and was never mirrored."""
    return Place(f"train-{json.loads((path / 'config.json').read_text()).get('data', path.parent.name)}")
