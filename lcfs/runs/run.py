"""The run directory, which is the truth about a run.

RUN/config.json       the TrainConfig
RUN/environment.json  run id, versions, machine
RUN/metrics.jsonl     one line an epoch, append-only; if an epoch occurs twice (after a resume) the last one counts
RUN/checkpoints/      epoch-000012.pt, the last two
RUN/summary.json      written once, when the run has ended
RUN/artifacts/        small files: pictures
"""

import json
import os
import platform
import re
import socket
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcfs.config import TrainConfig, from_dict, to_dict
from lcfs.errors import InputError
from lcfs.runs.atomic import save_atomically, write_text_atomically
from lcfs.runs.checkpoints import load_checkpoint
from lcfs.runs.handed_in import HandedIn

_KEPT = 2
_NAME = re.compile(r"epoch-(\d+)\.pt")


@dataclass(frozen=True)
class Run:
    """A run directory on disk."""

    path: Path

    @staticmethod
    def create(path: Path, config: TrainConfig, handed_in: HandedIn | None = None) -> "Run":
        """A new run directory; raises InputError if there is something at that place already."""
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise InputError(f"{path} exists already; choose another --run, or continue it with --resume {path}")
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path} cannot be created ({error.strerror}); choose another --run") from error
        write_text_atomically(json.dumps(_environment(), indent=1) + "\n", path / "environment.json")
        fields = (handed_in or HandedIn()).into(to_dict(config))
        write_text_atomically(json.dumps(fields, indent=1) + "\n", path / "config.json")
        return Run(path)

    @staticmethod
    def open(path: Path) -> "Run":
        """An existing run directory, as a `QuantizedRun` if its net is quantized; raises InputError if it is none."""
        if not (path / "config.json").is_file():
            raise InputError(
                f"{path} is not a run directory: it has no config.json; name the folder that lcfs train printed"
            )
        if "quantized" in _read_json(path / "config.json"):
            from lcfs.runs.quantized_run import QuantizedRun

            return QuantizedRun(path)
        return Run(path)

    def config(self, handed_in: HandedIn | None = None) -> TrainConfig:
        """The configuration that the run was started with.

        Raises: InputError if it was started with a data set or net of the caller's own that is not handed in again.
        """
        fields = _read_json(self.path / "config.json")
        return from_dict((handed_in or HandedIn()).out_of(fields, self.path))

    def summary(self) -> dict[str, Any] | None:
        """What the run ended with, or None if it has not ended."""
        path = self.path / "summary.json"
        return _read_json(path) if path.exists() else None

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Record how the run ended."""
        write_text_atomically(json.dumps(summary, indent=1) + "\n", self.path / "summary.json")

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl and force it to disk; a line torn by a kill is closed first."""
        path = self.path / "metrics.jsonl"
        try:
            with path.open("ab+") as handle:
                if handle.seek(0, os.SEEK_END) and _last_byte(handle) != b"\n":
                    handle.write(b"\n")
                handle.write(json.dumps(record).encode() + b"\n")
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}); make room and continue with --resume"
            ) from error

    def metrics(self) -> list[dict[str, Any]]:
        """The records of all epochs in order."""
        path = self.path / "metrics.jsonl"
        records: dict[int, dict[str, Any]] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:  # torn by a kill
                continue
            records[record["epoch"]] = record
        return [records[epoch] for epoch in sorted(records)]

    def checkpoints(self) -> list[Path]:
        """Checkpoint files, oldest first."""
        found = [p for p in (self.path / "checkpoints").glob("*.pt") if _NAME.fullmatch(p.name)]
        return sorted(found, key=lambda p: int(p.stem.split("-")[1]))

    def newest_checkpoint(self) -> Path:
        """The newest checkpoint file; raises InputError if there is none yet."""
        found = self.checkpoints()
        if not found:
            raise InputError(f"{self.path} has no checkpoint yet; continue it with lcfs train --resume {self.path}")
        return found[-1]

    def save_checkpoint(self, epoch: int, state: dict[str, Any]) -> Path:
        """Write a checkpoint atomically, then delete all but the last two."""
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        path = folder / f"epoch-{epoch:06d}.pt"
        save_atomically(state, path)
        for old in self.checkpoints()[:-_KEPT]:
            old.unlink()
        return path

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint that can be read, or None if the run was stopped before its first."""
        paths = self.checkpoints()
        for path in reversed(paths):
            try:
                return load_checkpoint(path)
            except InputError as error:
                print(f"lcfs: {error}", file=sys.stderr)
        if paths:
            raise InputError(f"no checkpoint of {self.path} can be read; start the run anew")
        return None


def _last_byte(handle: Any) -> bytes:
    handle.seek(-1, os.SEEK_END)
    return handle.read(1)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); restore it or start the run anew") from error


def _environment() -> dict[str, Any]:
    import torch

    from lcfs import __version__

    return {
        "run_id": uuid.uuid4().hex,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "lcfs": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
