"""Which part of a file is the net: what was read, and what was left out and why."""

import fnmatch
import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lcfs.errors import InputError
from lcfs.reading.leaves import Leaf, holds_tensors, is_module, joined, leaves
from lcfs.reading.values import Global, Stub, Unread

KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "ema", "module")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
_TRAINING = re.compile(
    r"(^|_)(optim\w*|\w*sched\w*|(grad_?)?scaler|amp|rng|rng_states?|random_state|callbacks|loops|samplers?|dataloaders?)$",
    re.IGNORECASE,
)
_RECORDS = re.compile(
    r"(^|[_.-])(epochs?|steps?|iters?|iterations?|loss(es)?|acc(uracy)?\d*|best|metrics?|history|scores?|args?|configs?|"
    r"cfg|opts?|hparams|hyper_parameters|meta(data)?|version|date|time(stamp)?|seed|lr|progress|results?|git|wandb)"
    r"([_.\d-]|$)",
    re.IGNORECASE,
)
_OURS = frozenset(("epoch", "model", "optimizer", "generator", "torch_rng"))
_COPIES = re.compile(r"ema|swa|averag|\bavg\b|teacher|momentum|shadow|best|target|old|last|master", re.IGNORECASE)
_LONG_TEXT = 256


@dataclass(frozen=True)
class LeftOut:
    """Something of the file that is not among the numbers read.

    Attributes:
        name: keys that lead to it.
        what: what it is and why it was left out.
        blocks: whether a net may need it, so that a bound from the rest would be too low.
    """

    name: str
    what: str
    blocks: bool


@dataclass(frozen=True)
class Selection:
    """Where the net stood in a file, its tensors, plain numbers beside them, and what was left out."""

    key: str
    tensors: dict[str, Tensor]
    numbers: dict[str, float]
    left_out: tuple[LeftOut, ...]


@dataclass
class _Sorting:
    tensors: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    attributes: int = 0
    used: set[str] = field(default_factory=set)

    def excluded(self, name: str, patterns: tuple[str, ...]) -> bool:
        """Note that one of the patterns excludes a name, as it stands in the file or without prefixes."""
        short = name
        for prefix in _PREFIXES * 2:
            short = short.removeprefix(prefix)
        found = [p for p in patterns if fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(short, p)]
        if found:
            self.left_out.append(LeftOut(name, f"excluded by {found[0]}", False))
            self.used.update(found)
        return bool(found)

    def add(self, leaf: Leaf) -> None:
        """Sort one leaf; where two have the same path, as keys 1 and "1" do, the second gets a name of its own."""
        value, name = leaf.value, leaf.name
        while name in self.tensors or name in self.numbers:
            name += "′"
        if isinstance(value, Tensor):
            if value.shape == (0,):
                self.left_out.append(LeftOut(name, "a placeholder of shape (0,): its numbers are elsewhere", True))
            self.tensors[name] = value
        elif isinstance(value, Unread):
            self.left_out.append(LeftOut(name, value.reason, True))
        elif leaf.attribute:
            self.attributes += 1
        elif isinstance(value, int) and abs(value) >= 1 << 63:
            self.left_out.append(LeftOut(name, f"a number of {value.bit_length():,} bits", True))
        elif isinstance(value, int | float):
            self.numbers[name] = value
        elif isinstance(value, Stub):
            self.left_out.append(LeftOut(name, f"an object of {value.name}, of which only tensors are read", True))
        elif isinstance(value, str | bytes | bytearray):
            long = len(value) > _LONG_TEXT or not isinstance(value, str)
            self.left_out.append(LeftOut(name, f"{len(value):,} characters", bool(value) and long))
        elif isinstance(value, Global):
            self.left_out.append(LeftOut(name, f"a name ({value.name})", False))
        elif value is not None:
            self.left_out.append(LeftOut(name, f"a {type(value).__name__}", True))


def select(value: Any, key: str | None = None, exclude: tuple[str, ...] = ()) -> Selection:
    """The numbers of the net in what a file holds.

    Args:
        value: what the file holds.
        key: keys joined by dots under which the net stands; by default the usual ones are tried, then all is taken.
        exclude: patterns of names, such as `*.mask`, of which the caller says that the net does not need them.

    Raises:
        InputError: nothing stands under the key.
    """
    chosen = key if key is not None else _usual(value)
    subtree = _under(value, chosen)
    sorting = _Sorting()
    for name, inner in _entries(subtree):
        if key is None and not chosen and _is_beside(name, inner):
            sorting.left_out.append(_beside(name, inner))
            continue
        for leaf in leaves(inner, name):
            if not sorting.excluded(leaf.name, exclude):
                sorting.add(leaf)
    if sorting.attributes:
        what = f"{sorting.attributes:,} attributes of modules that are no tensors, taken as the architecture"
        sorting.left_out.append(LeftOut("", what, False))
    if key is None and chosen:
        _sort_siblings(value, chosen, sorting, exclude)
    unused = [pattern for pattern in exclude if pattern not in sorting.used]
    if unused:
        raise InputError(f"--exclude {unused[0]} is the pattern of no name in it; lcfs inspect lists them")
    return Selection(chosen, without_prefixes(sorting.tensors), sorting.numbers, tuple(sorting.left_out))


def without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without the prefixes that all of them share (`module.`, `_orig_mod.`, …)."""
    for prefix in _PREFIXES * 2:
        if all(name.startswith(prefix) and name != prefix for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _usual(value: Any, depth: int = 0) -> str:
    """The first of the usual keys with tensors under it, looked for twice, or nothing."""
    if isinstance(value, dict) and depth < 2:
        for key in KEYS:
            inner = value.get(key)
            if (isinstance(inner, dict) or is_module(inner)) and holds_tensors(inner):
                further = _usual(inner, depth + 1)
                return joined(key, further) if further else key
    return ""


def _under(value: Any, key: str) -> Any:
    """What stands under keys joined by dots."""
    rest, here = key, value
    while rest:
        entries = dict(_entries(here))
        fitting = [k for k in entries if k and (rest == k or rest.startswith(f"{k}."))]
        if not fitting:
            known = [k for k, inner in _entries(value) if holds_tensors(inner)]
            raise InputError(f"there is nothing under the key {key!r}; tensors stand under {known[:8]}")
        found = max(fitting, key=len)
        here, rest = entries[found], rest[len(found) + 1 :]
    return here


def _entries(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(str(key), inner) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [(str(index), inner) for index, inner in enumerate(value)]
    if isinstance(value, Stub) and not is_module(value) and value.entries:
        return [(str(key), inner) for key, inner in value.entries.items()]
    return [("", value)]


def _is_beside(name: str, inner: Any) -> bool:
    """Whether an entry of a file without any of the usual keys is state or a record of training, by its name."""
    return not isinstance(inner, Tensor | Unread) and _is_training(name, inner, {})


def _is_training(name: str, inner: Any, siblings: dict[str, Any]) -> bool:
    """Whether something beside a net is of its training only: by its name, and by its form where names mislead."""
    if _TRAINING.search(name) or (name == "pruning" and siblings.keys() >= _OURS):
        return True
    if isinstance(inner, Tensor):
        is_random_state = name == "generator" and inner.dtype == torch.uint8 and inner.ndim == 1
        return is_random_state or (inner.ndim == 0 and bool(_RECORDS.search(name)))
    return bool(_RECORDS.search(name)) and not holds_tensors(inner)


def _beside(name: str, inner: Any) -> LeftOut:
    count = sum(isinstance(leaf.value, Tensor) for leaf in leaves(inner))
    return LeftOut(name, f"state of training ({count:,} tensors)" if count else "a record of training", False)


def _sort_siblings(value: Any, chosen: str, sorting: _Sorting, exclude: tuple[str, ...]) -> None:
    """What stands beside the chosen part, at each level."""
    here, path = value, ""
    own = {name: tensor.shape for name, tensor in without_prefixes(sorting.tensors).items()}
    while chosen:
        key = next(k for k in KEYS if chosen == k or chosen.startswith(f"{k}."))
        for name, inner in _entries(here):
            full = joined(path, name)
            if name == key:
                continue
            if sorting.excluded(full, exclude):
                continue
            if _is_training(name, inner, here):
                sorting.left_out.append(_beside(full, inner))
            elif holds_tensors(inner):
                sorting.left_out.append(_sibling(full, inner, own))
            else:
                _sort_plain_sibling(full, inner, sorting)
        here, path, chosen = dict(_entries(here))[key], joined(path, key), chosen[len(key) + 1 :]


def _sibling(name: str, inner: Any, own: dict[str, Any]) -> LeftOut:
    """Tensors beside the net: a copy of it where name and shapes say so."""
    found = {leaf.name: leaf.value for leaf in leaves(inner) if isinstance(leaf.value, Tensor)}
    shapes = {key: tensor.shape for key, tensor in without_prefixes(found).items()}
    if _COPIES.search(name) and sorted(shapes.values()) == sorted(own.values()):
        return LeftOut(name, f"a copy of the net; --key {name} takes it instead", False)
    return LeftOut(name, f"{len(found):,} tensors of which it is not known whether the net needs them", True)


def _sort_plain_sibling(name: str, inner: Any, sorting: _Sorting) -> None:
    """Numbers beside the net count as its own, objects without tensors do not."""
    if isinstance(inner, Stub):
        sorting.left_out.append(LeftOut(name, f"an object of {inner.name} without tensors", False))
        return
    for leaf in leaves(inner, name):
        if not isinstance(leaf.value, Stub):
            sorting.add(leaf)
