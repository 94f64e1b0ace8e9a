"""Learning convolutions from scratch: nets, β-LASSO, and what they learned. Public names are imported on first use."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lcfs.certificates import certify, verify
    from lcfs.config import TrainConfig
    from lcfs.data import Dataset
    from lcfs.data import load as load_data
    from lcfs.descriptions.bounding import bound
    from lcfs.embedding import embed, project
    from lcfs.errors import InputError
    from lcfs.nets.architectures import ARCHITECTURES, build, count_weights
    from lcfs.nets.layers import LocallyConnected
    from lcfs.optim import BetaLasso, parameter_groups
    from lcfs.reading import load_state
    from lcfs.training.loop import train
else:
    from importlib import import_module

    def __getattr__(name: str) -> object:
        """The public name, imported from its room (PEP 562): `import lcfs` itself takes no time and needs no torch."""
        if name not in _ORIGINS:
            raise AttributeError(f"module 'lcfs' has no attribute {name!r}")
        module, _, original = _ORIGINS[name].partition(":")
        value = getattr(import_module(f"lcfs.{module}"), original or name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return __all__


_ORIGINS = {
    "ARCHITECTURES": "nets.architectures",
    "BetaLasso": "optim",
    "Dataset": "data",
    "InputError": "errors",
    "LocallyConnected": "nets.layers",
    "TrainConfig": "config",
    "bound": "descriptions.bounding",
    "build": "nets.architectures",
    "certify": "certificates",
    "count_weights": "nets.architectures",
    "embed": "embedding",
    "load_data": "data:load",
    "load_state": "reading",
    "parameter_groups": "optim",
    "project": "embedding",
    "train": "training.loop",
    "verify": "certificates",
}
"""Public name → where it comes from, as the imports above say to the type checker."""

__all__ = [
    "ARCHITECTURES",
    "BetaLasso",
    "Dataset",
    "InputError",
    "LocallyConnected",
    "TrainConfig",
    "bound",
    "build",
    "certify",
    "count_weights",
    "embed",
    "load_data",
    "load_state",
    "parameter_groups",
    "project",
    "train",
    "verify",
]
__version__ = "0.2.0"
