"""Run directories of quantized nets, as `lcfs certify` reads them: what was trained, and on which data."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcfs import data
from lcfs.errors import InputError
from lcfs.nets.quantized import Architecture


@dataclass(frozen=True)
class QuantizedRun:
    """Of a config.json whose `quantized` holds the fields of an `Architecture`, what belongs to the predictor.

    Everything else in the file, how the net was trained, is not read: no bound depends on it.
    """

    architecture: Architecture
    data: str
    data_dir: str | None

    @staticmethod
    def open(path: Path) -> "QuantizedRun | None":
        """The run in this directory, or None if it has no config.json or is of another kind.

        Raises: InputError if it is of this kind and damaged.
        """
        file = path / "config.json"
        try:
            config = json.loads(file.read_text())
        except (OSError, ValueError):  # lcfs.runs says what is wrong with it
            return None
        if not isinstance(config, dict) or "quantized" not in config:
            return None
        try:
            return QuantizedRun(_architecture(config["quantized"]), _known(config["data"]), config.get("data_dir"))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file} does not describe a run of a quantized net: {error}") from error


def _architecture(fields: dict[str, Any]) -> Architecture:
    stages = tuple(tuple(stage) for stage in fields["stages"])
    return Architecture(stages=stages, **{name: value for name, value in fields.items() if name != "stages"})


def _known(name: str) -> str:
    data.facts(name)  # raises InputError for an unknown one
    return name
