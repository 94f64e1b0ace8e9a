"""Checkpoints of runs: read back as they were written, and given to nets."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lcfs.errors import InputError
from lcfs.reading.formats import read_contents


def load_checkpoint(path: Path) -> dict[str, Any]:
    """One of our own checkpoints: tensors and primitives in a dict. Raises InputError if it cannot be read."""
    value = read_contents(path).value
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__} instead of a checkpoint's dictionary")
    return value


def load_into(net: nn.Module, state: dict[str, Tensor], *, origin: str, wanted: str) -> None:
    """Give a net the tensors of a state dict.

    Args:
        origin, wanted: for the errors, where the state dict comes from and which net it should be of.

    Raises:
        InputError: other keys or shapes than the net's, infinite or NaN values.
    """
    own = net.state_dict()
    dense = {
        name: tensor.to_dense() if tensor.layout != torch.strided and _fits(own.get(name), tensor) else tensor
        for name, tensor in state.items()
    }
    try:
        net.load_state_dict(dense)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{origin} is no checkpoint of {wanted} ({reason}); name the run it comes from") from error
    for name, tensor in net.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{name} in {origin} holds infinite or NaN values, of which no net can be made; retrain")


def _fits(wanted: Tensor | None, tensor: Tensor) -> bool:
    """Whether a sparse tensor is of the shape that the net has memory for already."""
    return wanted is not None and wanted.shape == tensor.shape
