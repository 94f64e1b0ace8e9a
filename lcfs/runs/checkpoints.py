"""Reading of checkpoints, ours and other people's, so that nothing is run."""

import contextlib
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lcfs.errors import InputError, brief

_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "ema", "module")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
_REMEDY = "save only the tensors, with torch.save(model.state_dict(), PATH), and name that file"


def load_checkpoint(path: Path) -> dict[str, Any]:
    """One of our own checkpoints: tensors and primitives in a dict. Raises InputError if it cannot be read."""
    found = _load_torch(path)
    if not isinstance(found, dict):
        raise InputError(f"{path} holds a {type(found).__name__} instead of a checkpoint's dictionary")
    return found


def load_state(path: str | Path) -> dict[str, Tensor]:
    """The state dict in any .pt, .pth, .ckpt or .safetensors file; never runs code from the file.

    It may be bare or under one of the usual keys (`state_dict`, `model`, …); prefixes that all its keys share
    (`module.`, `_orig_mod.`, …) are removed.
    Raises: InputError if the file is missing, damaged, no checkpoint, or a pickle that asks for code.
    """
    path = Path(path)
    _refuse_other_files(path)
    if path.suffix == ".safetensors":
        try:
            found: Any = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise InputError(f"{path} is damaged or incomplete ({brief(error)}); fetch or write it again") from error
    else:
        found = _load_torch(path)
    state = _state_in(found)
    if not state:
        raise InputError(f"{path} holds no tensors under the usual keys ({', '.join(_KEYS)}); {_REMEDY}")
    return _without_prefixes({name: t.to_dense() if t.layout != torch.strided else t for name, t in state.items()})


def load_into(net: nn.Module, state: dict[str, Tensor], *, origin: str, wanted: str) -> None:
    """Give a net the tensors of a state dict.

    Args:
        origin, wanted: for the errors, where the state dict comes from and which net it should be of.

    Raises:
        InputError: other keys or shapes than the net's, infinite or NaN values.
    """
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{origin} is no checkpoint of {wanted} ({reason}); name the run it comes from") from error
    for name, tensor in net.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{name} in {origin} holds infinite or NaN values, of which no net can be made; retrain")


def _refuse_other_files(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a checkpoint; name a file in it")
    try:
        with path.open("rb") as handle:
            head = handle.read(512)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the name") from error
    start = head.lstrip().lower()
    if not head:
        raise InputError(f"{path} is empty; fetch or write it again")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError(f"{path} is an HTML page, not a checkpoint: its download went wrong; fetch it again")
    if start.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path} is a git-LFS pointer, not the checkpoint itself; run git lfs pull where it comes from"
        )


def _load_torch(path: Path) -> Any:
    _refuse_other_files(path)
    zipped = zipfile.is_zipfile(path)
    if zipped:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            raise InputError(f"{path} is a TorchScript archive, which holds code; {_REMEDY}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True if zipped else None)
    except pickle.UnpicklingError as error:
        asked = _globals(path, zipped)
        if asked:
            wanted = f"{path} was refused: its pickle asks for {', '.join(asked)}, which could run code"
            raise InputError(f"{wanted} (nothing was run); {_REMEDY}") from error
        # torch's own message is left out: it advises to switch the safe reader off
        raise InputError(f"{path} is damaged or no checkpoint (its pickle is invalid); fetch it again") from error
    except Exception as error:  # a mutilated file can fail anywhere inside the reader
        raise InputError(f"{path} is damaged or no checkpoint ({brief(error)}); fetch or write it again") from error


def _globals(path: Path, zipped: bool) -> list[str]:
    """Names that the pickle asks for beyond what plain tensors need, without running it."""
    try:
        if zipped:
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
        asked: set[str] = set()
        strings: list[str] = []
        with path.open("rb") as handle, contextlib.suppress(ValueError):
            while handle.peek(1):  # the old format is several pickles in a row, then raw numbers
                for opcode, argument, _ in pickletools.genops(handle):
                    if opcode.name == "GLOBAL":
                        asked.add(str(argument).replace(" ", "."))
                    elif opcode.name == "STACK_GLOBAL":
                        asked.add(".".join(strings[-2:]))
                    elif isinstance(argument, str):
                        strings.append(argument)
        return sorted(name for name in asked if not name.startswith(("torch.", "collections.OrderedDict")))
    except Exception:  # the list is a courtesy; the refusal stands without it
        return []


def _state_in(found: Any, depth: int = 0) -> dict[str, Tensor]:
    if not isinstance(found, dict):
        return {}
    for key in _KEYS:
        if isinstance(found.get(key), dict) and depth < 2 and (state := _state_in(found[key], depth + 1)):
            return state
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES * 2:
        if all(name.startswith(prefix) and name != prefix for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state
