"""A data set or a net from Python, which no name of ours describes: config.json keeps its kind and a digest."""

from dataclasses import dataclass
from typing import Any

from lcfs.errors import InputError

_OWN = "own:"
_ARGUMENTS = {"data": "dataset", "architecture": "model"}  # field of the configuration: argument of `lcfs.train`
_STAND_INS = {"data": "digits", "architecture": "s-fc"}  # in a TrainConfig; what is handed in is used instead


@dataclass(frozen=True)
class HandedIn:
    """What a training got beside its configuration, each as KIND@DIGEST; None for what the configuration names."""

    data: str | None = None
    architecture: str | None = None

    def into(self, config: dict[str, Any]) -> dict[str, Any]:
        """The fields of config.json: the configuration's, but for what was handed in."""
        return config | {field: f"{_OWN}{name}" for field, name in vars(self).items() if name is not None}

    def out_of(self, fields: dict[str, Any], origin: object) -> dict[str, Any]:
        """The inverse of `into` for the same things handed in.

        Args:
            origin: the run directory, for the error.

        Raises:
            InputError: something is missing, another one, or more than the run was started with.
        """
        own = {}
        for field, argument in _ARGUMENTS.items():
            recorded, name = str(fields.get(field)), getattr(self, field)
            was, started = recorded.removeprefix(_OWN), f"{origin} was started with "
            if recorded.startswith(_OWN) and name is None:
                raise InputError(
                    f"{started}a {argument} of your own ({was}), which is not in its folder; "
                    f"continue it from Python with lcfs.train(…, resume=True, {argument}=…)"
                )
            if name is not None and recorded != f"{_OWN}{name}":
                raise InputError(f"{started}the {argument} {was}, not with {name}; hand in the same one")
            if name is not None:
                own[field] = _STAND_INS[field]
        return fields | own
