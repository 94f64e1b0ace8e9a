"""Leaves of what a file holds: its tensors, numbers and the rest, each by the path of keys that leads to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lcfs.reading.arrays import plain
from lcfs.reading.values import MalformedError, Stub, Unread

_DEEPEST, MOST = 100, 1 << 20
_LONG = 16  # so many plain numbers in a row are one array
_OF_MODULES = ("_parameters", "_buffers", "_modules")
_SAID_BY_TENSORS = ("__torch__.", "torchao.")  # classes whose tensors say all of them


@dataclass(frozen=True)
class Leaf:
    """Something that is no container.

    Attributes:
        name: keys that lead to it, joined by dots.
        value: a tensor, number, text, bytes, None, `Unread`, `Global` or `Stub`; a `Stub` is followed by what it holds.
        attribute: whether it is an attribute of a module and neither a parameter nor a buffer.
    """

    name: str
    value: Any
    attribute: bool = False


def leaves(value: Any, name: str = "") -> Iterator[Leaf]:
    """All leaves in order. Raises MalformedError where there are too many, or containers hold each other."""
    waiting = [_Place(value, name, 0, False)]
    visited = 0
    while waiting:
        place = waiting.pop()
        visited += 1
        if place.depth > _DEEPEST or visited > MOST:
            raise MalformedError("its containers hold each other, or far more than a checkpoint does")
        value = _as_array(plain(place.value))
        if isinstance(value, Stub) and not is_module(value) and not value.name.startswith(_SAID_BY_TENSORS):
            yield Leaf(place.name, value, place.attribute)
        inner = _inside(value, place)
        if inner is None:
            yield Leaf(place.name, value, place.attribute)
        else:
            waiting += reversed(inner)


def holds_tensors(value: Any) -> bool:
    """Whether there is a tensor in it, read or not."""
    return any(isinstance(leaf.value, Tensor | Unread) for leaf in leaves(value))


def is_module(value: Any) -> bool:
    """Whether it stands for a module that was saved as a whole."""
    return isinstance(value, Stub) and isinstance(value.state, dict) and "_parameters" in value.state


def joined(name: str, key: object) -> str:
    """The name of what stands under `key`."""
    return f"{name}.{key}" if name else str(key)


@dataclass(frozen=True)
class _Place:
    """A value and where it stands."""

    value: Any
    name: str
    depth: int
    attribute: bool

    def inside(self, value: Any, key: object = None, attribute: bool | None = None) -> "_Place":
        name = self.name if key is None else joined(self.name, key)
        return _Place(value, name, self.depth + 1, self.attribute if attribute is None else attribute)


def _inside(value: Any, place: _Place) -> list[_Place] | None:
    """What a container holds, or None if it is none."""
    if isinstance(value, dict):
        return [place.inside(inner, key) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [place.inside(inner, index) for index, inner in enumerate(value)]
    if not isinstance(value, Stub):
        return None
    if not is_module(value):
        parts = (*value.arguments, value.state, value.items, value.entries)
        return [place.inside(_without_mode(part)) for part in parts if part is not None]
    return [
        place.inside(inner, attribute=False) if key in _OF_MODULES else place.inside(inner, key, attribute=True)
        for key, inner in value.state.items()
    ]


def _as_array(value: Any) -> Any:
    """A long list of plain numbers as a tensor of 64 bits each; anything else as it is."""
    if isinstance(value, list | tuple) and len(value) > _LONG:
        kinds = set(map(type, value))
        if kinds == {int} and all(abs(number) < 1 << 63 for number in value):
            return torch.tensor(value, dtype=torch.int64)
        if kinds in ({float}, {int, float}):
            return torch.tensor(value, dtype=torch.float64)
    return value


def _without_mode(attributes: Any) -> Any:
    """Attributes of a scripted module without the flag that says whether it is being trained."""
    return {k: v for k, v in attributes.items() if k != "training"} if isinstance(attributes, dict) else attributes
