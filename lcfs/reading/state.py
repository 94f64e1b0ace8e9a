"""The numbers of a net in a file or folder, and an account of what they are and are not."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lcfs.errors import InputError
from lcfs.reading.folders import read_folder, shard_of
from lcfs.reading.formats import Contents, read_contents
from lcfs.reading.selecting import KEYS, LeftOut, select

_OURS = "lcfs"  # key of the description that `lcfs export` writes


@dataclass(frozen=True)
class NetState:
    """What was read of a file, and what was not.

    Attributes:
        kind: what kind of file it is, in words.
        key: keys joined by dots under which the net stood; empty for the whole file.
        tensors: by name, sparse ones as they are; views of the mapped file.
        numbers: plain numbers among them, by name.
        left_out: everything else in the file; a bound must be refused where one of them `blocks`.
        stubs: classes and functions that the file's pickle names and that were neither looked up nor run.
        shapes_from_data: whether the shapes were found by training, as those of an exported net are.
    """

    kind: str
    key: str
    tensors: dict[str, Tensor]
    numbers: dict[str, float]
    left_out: tuple[LeftOut, ...]
    stubs: tuple[str, ...]
    shapes_from_data: bool


def load_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a net in a checkpoint of any kind, by name; never runs code from the file.

    Args:
        path: a file of torch (.pt, .pth, .ckpt of any age, TorchScript, whole modules), safetensors, numpy (.npz, .npy)
            or a pickle, recognized by its content; or a folder of Hugging Face's or its index of shards. The state
            dict may be bare or under one of the usual keys (`state_dict`, `model`, …); prefixes that all its names
            share (`module.`, `_orig_mod.`, …) are removed.

    Returns:
        Tensors on the CPU that share the memory of the mapped file, which writing to them never changes; sparse
        tensors stay sparse, with every index checked.

    Raises:
        InputError: it is missing, damaged, of a kind that is not read, or holds no tensors.
    """
    return read_state(Path(path)).tensors


def read_state(path: Path, *, key: str | None = None, exclude: tuple[str, ...] = ()) -> NetState:
    """The same with an account of what was left out.

    Args:
        path: as for `load_state`.
        key: keys joined by dots under which the net stands, such as state_dict_ema; by default the usual ones.
        exclude: patterns of names, such as `teacher.*`, which the net does not need to predict.

    Raises:
        InputError: as for `load_state`, or nothing under the key.
    """
    if path.is_dir() or path.name.endswith(".index.json"):
        return _state(path, read_folder(path), (), key, exclude)
    contents = read_contents(path)
    missing = tuple(LeftOut("", what, True) for what in shard_of(path))
    return _state(path, contents, missing, key, exclude)


def _state(
    path: Path, contents: Contents, missing: tuple[LeftOut, ...], key: str | None, exclude: tuple[str, ...]
) -> NetState:
    try:
        selection = select(contents.value, key, exclude)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except ValueError as error:  # containers that hold each other
        raise InputError(f"{path} is damaged or no checkpoint: {error}; fetch or write it again") from None
    if not selection.tensors:
        reasons = "; ".join(left.what for left in selection.left_out if left.blocks)[:200]
        reasons = reasons or f"looked for bare ones and under {', '.join(KEYS)}"
        raise InputError(
            f"{path} holds no tensors that can be read ({reasons}); "
            "save them with torch.save(model.state_dict(), PATH), and name that file"
        )
    return NetState(
        contents.kind,
        selection.key,
        selection.tensors,
        selection.numbers,
        (*missing, *selection.left_out),
        contents.met,
        _OURS in contents.metadata,
    )
