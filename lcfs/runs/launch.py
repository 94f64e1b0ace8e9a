"""The launch directory, which is the truth about one start of a study; its cells are the run directories beside it.

RUNS/NAME/…                            run directories
RUNS/launches/STUDY-TIME/launch.json   a `Launch`
RUNS/launches/STUDY-TIME/artifacts/    tables and pictures
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lcfs.runs.atomic import make_folder, write_text_atomically

Status = Literal["running", "finished", "unfinished", "interrupted"]


@dataclass(frozen=True)
class DataMark:
    """One split of a data set: its images, counted, and `lcfs.data.ImageSet.fingerprint` of them."""

    name: str
    split: str
    images: int
    fingerprint: str


@dataclass(frozen=True)
class LaunchedCell:
    """What a study says of one of its runs.

    title: unique in the study. params: `row`, that of the study's table, and the fields that the study sweeps.
    """

    title: str
    params: Mapping[str, str]


@dataclass(frozen=True)
class Launch:
    """One start of a study.

    cells: by the names of their run directories. trained: the cells that were not finished when it started. started,
    ended: unix seconds.
    """

    launch_id: str
    study: str
    scale: str
    claim: str
    item: str
    expected: str
    cells: Mapping[str, LaunchedCell]
    trained: tuple[str, ...]
    data: tuple[DataMark, ...]
    started: float
    host: str
    pid: int
    status: Status = "running"
    ended: float | None = None

    @property
    def experiment(self) -> str:
        """The MLflow experiment in which the study compares its runs."""
        return experiment_name(self.study, self.scale)


def experiment_name(study: str, scale: str) -> str:
    """The experiment of a study at a scale.

    >>> experiment_name("pixel_permutation", "smoke")
    'pixel_permutation (smoke)'
    """
    return f"{study} ({scale})"


def write_launch(folder: Path, launch: Launch) -> None:
    """Write FOLDER/launch.json."""
    make_folder(folder)
    write_text_atomically(json.dumps(asdict(launch), indent=1) + "\n", folder / "launch.json")


def read_launch(folder: Path) -> Launch:
    """The inverse of `write_launch`. Raises ValueError if the file is damaged."""
    try:
        values: dict[str, Any] = json.loads((folder / "launch.json").read_text())
        values["cells"] = {name: LaunchedCell(**cell) for name, cell in values["cells"].items()}
        values["data"] = tuple(DataMark(**mark) for mark in values["data"])
        return Launch(**values | {"trained": tuple(values["trained"])})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder.name}/launch.json is damaged; restore it or delete its folder") from error


def launches_below(runs: Path) -> list[Path]:
    """Launch directories anywhere below a folder, in the order of their names."""
    return sorted(path.parent for path in runs.rglob("launch.json"))


def launch_of(cell: str, launches: Iterable[Launch]) -> Launch | None:
    """The launch of one study that a cell belongs to: the last that trained it, else the first that has it."""
    having = sorted((launch for launch in launches if cell in launch.cells), key=lambda launch: launch.started)
    training = [launch for launch in having if cell in launch.trained]
    return training[-1] if training else having[0] if having else None
