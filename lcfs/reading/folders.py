"""Folders and indices of shards: several files that are one net."""

import json
import re
from pathlib import Path
from typing import Any

from lcfs.errors import InputError
from lcfs.reading.formats import Contents, read_contents
from lcfs.reading.opening import open_file

_WHOLE = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")
_WHOLE += ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin", "open_clip_pytorch_model.bin")
_SHARD = re.compile(r"(.*?)[-_.]?0*(\d+)-of-0*(\d+)\b.*")
_RANK = re.compile(r"(.*?(?:mp_rank|tp|pp_rank|rank|consolidated|zero_pp_rank)[._]?)(\d+)(.*)")


def read_folder(path: Path) -> Contents:
    """The net in a folder or behind an index of shards, all of it.

    Raises:
        InputError: a shard is missing, a tensor is not where the index says, or the folder holds no such net.
    """
    if not path.is_dir():
        return _read_index(path)
    if (path / ".metadata").exists():
        raise InputError(
            f"{path} is a folder of torch.distributed.checkpoint, whose parts are not read; make one file of it with "
            f"python -m torch.distributed.checkpoint.format_utils dcp_to_torch {path} net.pt"
        )
    for name in _WHOLE:
        if (path / name).exists():
            return read_contents(path / name)
        if (path / f"{name}.index.json").exists():
            return _read_index(path / f"{name}.index.json")
    raise InputError(
        f"{path} is a folder, and neither a run nor one with a model.safetensors or pytorch_model.bin; "
        "name a file in it"
    )


def shard_of(path: Path) -> tuple[str, ...]:
    """What is missing if a file is one part of a net, by its name and the names beside it."""
    if (match := _SHARD.fullmatch(path.name)) and int(match[3]) > 1:
        return (f"shard {int(match[2])} of {int(match[3])}: the others are missing; name the folder or its index",)
    if match := _RANK.fullmatch(path.name):
        beside = [
            other.name
            for other in path.parent.glob("*")
            if (m := _RANK.fullmatch(other.name)) and (m[1], m[3]) == (match[1], match[3]) and m[2] != match[2]
        ]
        if beside or int(match[2]):
            return (f"the part of one process: others are missing ({beside[0] if beside else 'rank 0'})",)
    return ()


def _read_index(path: Path) -> Contents:
    try:
        index = json.loads(bytes(open_file(path).content))
        places = index["weight_map"]
        shards = sorted(set(places.values()))
        simple = all(isinstance(name, str) and Path(name).name == name for name in shards)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} is no index of shards; name the folder or the files it lists") from None
    if not simple or not shards:
        raise InputError(f"{path} names shards outside its folder; write it again")
    absent = [name for name in shards if not (path.parent / name).is_file()]
    if absent:
        raise InputError(f"{path}: {len(absent)} of {len(shards)} shards are missing ({absent[0]}); fetch them all")
    value: dict[str, Any] = {}
    met: dict[str, None] = {}
    for name in shards:
        contents = read_contents(path.parent / name)
        if not isinstance(contents.value, dict):
            raise InputError(f"{path.parent / name} is no shard of a net; fetch it again")
        met.update(dict.fromkeys(contents.met))
        for key, tensor in contents.value.items():
            if key in value:
                raise InputError(f"{key} stands in two shards of {path}; fetch them again")
            value[key] = tensor
    lost = [key for key in places if key not in value]
    if lost:
        raise InputError(f"{path}: {lost[0]} stands in none of its shards; fetch them again")
    return Contents(f"{len(shards)} shards", value, tuple(met))
