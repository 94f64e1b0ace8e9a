"""Run directories of quantized nets: what was trained, and on which data."""

import json
from dataclasses import dataclass
from typing import Any

from lcfs import data
from lcfs.config import TrainConfig
from lcfs.errors import InputError
from lcfs.nets.quantized import Architecture
from lcfs.runs.run import HandedIn, Run


@dataclass(frozen=True)
class QuantizedConfig:
    """What belongs to the predictor in the config.json of a quantized net: its architecture and its data set.

    Everything else in the file, how the net was trained, is not read: no bound depends on it.
    """

    architecture: Architecture
    data: str
    data_dir: str | None


@dataclass(frozen=True)
class QuantizedRun(Run):
    """A run directory whose config.json has the fields of an `Architecture` under the key `quantized`."""

    def config(self, handed_in: HandedIn | None = None) -> TrainConfig:
        """Raises InputError: what asks for a TrainConfig can do nothing with a quantized net."""
        raise InputError(f"{self.path} holds a quantized net, which only lcfs certify reads; name a run of lcfs train")

    def quantized(self) -> QuantizedConfig:
        """What was trained, and on which data. Raises InputError if config.json is damaged."""
        file = self.path / "config.json"
        try:
            config = json.loads(file.read_text())
            data.facts(config["data"])  # raises InputError for an unknown one
            return QuantizedConfig(_architecture(config["quantized"]), config["data"], config.get("data_dir"))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file} does not describe a run of a quantized net: {error}") from error


def _architecture(fields: dict[str, Any]) -> Architecture:
    stages = tuple(tuple(stage) for stage in fields["stages"])
    return Architecture(stages=stages, **{name: value for name, value in fields.items() if name != "stages"})
