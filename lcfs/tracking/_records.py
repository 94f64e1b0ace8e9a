"""What a run directory holds for MLflow, and RUN/mlflow.json, which remembers what was sent."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lcfs.checkpoints import write_text_atomically


@dataclass(frozen=True)
class State:
    """RUN/mlflow.json. `lines` is None from before a send until after it: if broken off, MLflow is asked instead."""

    uri: str
    experiment: str
    run_id: str | None = None
    lines: int | None = None
    summary: str | None = None
    artifacts: dict[str, int] = field(default_factory=dict)


def read_state(path: Path) -> State | None:
    """What was sent before; None if nothing was, or if the file is damaged."""
    try:
        return State(**json.loads((path / "mlflow.json").read_text()))
    except (OSError, ValueError, TypeError):  # lost or damaged: MLflow is asked
        return None


def write_state(path: Path, state: State) -> None:
    """Remember what was sent."""
    write_text_atomically(json.dumps(asdict(state), indent=1) + "\n", path / "mlflow.json")


def records_of(path: Path) -> list[dict[str, Any]]:
    """Whole lines of metrics.jsonl in the order written; one torn by a kill is left out."""
    found = []
    for line in read(path / "metrics.jsonl").split("\n"):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


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


def experiment_of(path: Path) -> str:
    """The experiment of a run that was never mirrored."""
    return f"train-{json.loads((path / 'config.json').read_text()).get('data', path.parent.name)}"
