"""The run directory, which is the truth about a run.

RUN/config.json       the TrainConfig
RUN/environment.json  run id, versions, machine
RUN/metrics.jsonl     one line an epoch, append-only; if an epoch occurs twice (after a resume) the last one counts
RUN/checkpoints/      epoch-000012.pt, the last two; epoch-000012-step-000034.pt within the 13th epoch
RUN/summary.json      written once, when the run has ended
RUN/train.lock        held by the process that trains the run
RUN/artifacts/        small files: pictures
"""

import contextlib
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
from lcfs.runs.atomic import make_folder, remove_leftovers, save_atomically, write_text_atomically
from lcfs.runs.checkpoints import load_checkpoint
from lcfs.runs.checksums import check_checksums
from lcfs.runs.handed_in import HandedIn
from lcfs.runs.lock import NAME as LOCK
from lcfs.runs.lock import training_lock
from lcfs.runs.metrics import read_records

_KEPT = 2
_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.pt")
ENVIRONMENT = "environment.json"


@dataclass(frozen=True)
class Run:
    """A run directory on disk."""

    path: Path

    @staticmethod
    def create(path: Path, config: TrainConfig, handed_in: HandedIn | None = None) -> "Run":
        """A new run directory; what a creation that was broken off left is taken for nothing.

        Raises:
            Busy: another process is creating it.
            InputError: there is something at that place already, or it cannot be written.
        """
        taken = f"{path} exists already; choose another --run, or continue it with --resume {path}"
        if path.exists() and not path.is_dir():
            raise InputError(taken)
        make_folder(path)
        with training_lock(path):
            remove_leftovers(path)
            if any(file.name not in (ENVIRONMENT, LOCK) for file in path.iterdir()):
                raise InputError(taken)
            write_text_atomically(json.dumps(_environment(), indent=1) + "\n", path / ENVIRONMENT)
            fields = (handed_in or HandedIn()).into(to_dict(config))
            write_text_atomically(json.dumps(fields, indent=1) + "\n", path / "config.json")
        return Run(path)

    @staticmethod
    def open(path: Path) -> "Run":
        """An existing run directory, as a `QuantizedRun` if its net is quantized; raises InputError if it is none."""
        if not (path / "config.json").is_file():
            begun = (path / ENVIRONMENT).is_file()
            remedy = "start it again with --run" if begun else "name the folder that lcfs train printed"
            raise InputError(f"{path} is not a run directory: it has no config.json; {remedy}")
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

    def threads(self) -> int | None:
        """Threads of torch that the run began with, which on a CPU decide how sums are rounded; None if unknown."""
        try:
            threads = json.loads((self.path / ENVIRONMENT).read_text())["threads"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return threads if isinstance(threads, int) and threads > 0 else None

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
        records = {record["epoch"]: record for record in read_records(self.path / "metrics.jsonl")}
        return [records[epoch] for epoch in sorted(records)]

    def checkpoints(self) -> list[Path]:
        """Checkpoint files, oldest first."""
        return sorted((p for p in self._checkpoint_folder.glob("*.pt") if _NAME.fullmatch(p.name)), key=_progress)

    def newest_checkpoint(self) -> Path:
        """The newest checkpoint file; raises InputError if there is none yet."""
        checkpoints = self.checkpoints()
        if not checkpoints:
            raise InputError(f"{self.path} has no checkpoint yet; continue it with lcfs train --resume {self.path}")
        return checkpoints[-1]

    def save_checkpoint(self, epoch: int, state: dict[str, Any], step: int = 0) -> Path:
        """Write a checkpoint atomically, then delete all but the last two.

        Args:
            epoch, step: epochs that are done, and steps of the next one.
        """
        make_folder(self._checkpoint_folder)
        path = self._checkpoint_folder / (f"epoch-{epoch:06d}" + (f"-step-{step:06d}" if step else "") + ".pt")
        if path.is_dir():
            self.set_aside(path)
        save_atomically(state, path)
        for old in self.checkpoints()[:-_KEPT]:
            with contextlib.suppress(OSError):
                old.unlink()
        return path

    def set_aside(self, checkpoint: Path) -> None:
        """Rename a checkpoint that cannot be used, so that nobody takes it for the newest."""
        with contextlib.suppress(OSError):
            checkpoint.rename(checkpoint.with_name(checkpoint.name + ".damaged"))

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The newest checkpoint that can be read, or None if the run was stopped before its first."""
        checkpoints = self.checkpoints()
        for path in reversed(checkpoints):
            try:
                return read_checkpoint(path)
            except InputError as error:
                print(f"lcfs: {error}", file=sys.stderr)
        if checkpoints:
            raise InputError(f"no checkpoint of {self.path} can be read; start the run anew")
        return None

    def prepare_for_training(self) -> None:
        """Remove what killed writers left, and the summary of an attempt that did not finish; hold the lock before."""
        remove_leftovers(self.path)
        remove_leftovers(self._checkpoint_folder)
        if (self.summary() or {}).get("status") != "finished":
            with contextlib.suppress(OSError):
                (self.path / "summary.json").unlink(missing_ok=True)

    @property
    def _checkpoint_folder(self) -> Path:
        return self.path / "checkpoints"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint whose checksums are right. Raises InputError if it cannot be read or is damaged."""
    check_checksums(path)
    return load_checkpoint(path)


def _progress(checkpoint: Path) -> tuple[int, int]:
    """Epochs that were done, and steps of the next one."""
    matched = _NAME.fullmatch(checkpoint.name)
    return (int(matched[1]), int(matched[2] or 0)) if matched else (0, 0)


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
