"""Configurations of trainings, flat: which two are the same training, where one differs from others, and its name."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from lcfs.config import TrainConfig

# What does not change a training but for rounding; bf16 or fp32 under precision "auto" is such a rounding.
NO_DIFFERENCE = ("data_dir", "device", "checkpoint_seconds", "compact", "parallel", "recorded_steps")
# Fields of optimizers that a run with the other one does not read.
_ONLY_FOR = {
    "beta-lasso": ("l1_conv", "l1_fc", "beta", "one_sided", "all_parameters", "threshold"),
    "sgd": ("weight_decay",),
}


def flat(config: TrainConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Fields by dotted names, `optimizer.beta` and so on, of a configuration or of the dictionary that a record has.

    >>> flat({"architecture": "s-fc", "optimizer": {"beta": 3.0}})
    {'architecture': 's-fc', 'optimizer.beta': 3.0}
    """
    values = config if isinstance(config, Mapping) else asdict(config)
    fields: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            fields |= {f"{name}.{inner}": leaf for inner, leaf in flat(value).items()}
        else:
            fields[name] = value
    return fields


def differences(config: TrainConfig | Mapping[str, Any]) -> dict[str, Any]:
    """What was trained: the fields that matter and differ from their defaults.

    A field that is missing, as in the record of a run from before there was such a field, is at its default.

    >>> differences(TrainConfig("s-fc", seed=3, device="cpu"))
    {'architecture': 's-fc', 'seed': 3}
    """
    kind = type(config) if isinstance(config, TrainConfig) else TrainConfig
    defaults = _defaults(kind)
    return {
        name: value
        for name, value in flat(config).items()
        if name not in NO_DIFFERENCE and (name not in defaults or value != defaults[name])
    }


def read_fields(config: TrainConfig) -> dict[str, str]:
    """The fields that the run reads, as text: those of the other optimizer are left out.

    >>> "optimizer.beta" in read_fields(TrainConfig("s-fc"))
    False
    """
    unread = {f"optimizer.{key}" for name, keys in _ONLY_FOR.items() if name != config.optimizer.name for key in keys}
    return {name: _text(value) for name, value in flat(config).items() if name not in unread}


def cell_name(config: TrainConfig) -> str:
    """The same for the same training, whichever study asks for it, so that studies share their runs.

    A field at its default leaves no trace in the name, so that a new field does not rename what was trained before it.

    >>> cell_name(TrainConfig("s-fc", data="cifar10"))
    's-fc-sgd-cifar10-a16-s0-8e8915'
    """
    text = json.dumps({name: _canonical(value) for name, value in differences(config).items()}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    c = config
    return f"{c.architecture}-{c.optimizer.name}-{c.data}-a{c.base_channels}-s{c.seed}-{digest}"


@cache
def _defaults(kind: type[TrainConfig]) -> dict[str, Any]:
    fields = flat(kind("s-fc"))
    del fields["architecture"]  # it has no default
    return fields


def _canonical(value: Any) -> Any:
    """Equal numbers alike: 10 and 10.0."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
