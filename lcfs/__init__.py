"""Learning convolutions from scratch: nets, β-LASSO, and what they learned. Public names are imported on first use."""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "ARCHITECTURES": "nets.architectures",
    "build": "nets.architectures",
    "count_weights": "nets.architectures",
    "BetaLasso": "optim",
    "parameter_groups": "optim",
    "LocallyConnected2d": "nets.layers",
    "embed": "embedding",
    "project": "embedding",
    "load_state": "runs.checkpoints",
    "certify": "certificates",
    "verify": "certificates",
    "InputError": "errors",
}
__all__ = sorted(_PUBLIC)
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lcfs' has no attribute {name!r}")
    return getattr(import_module(f"lcfs.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
