"""Plain values that a file is made of: what numbers, text and containers leave over."""

from dataclasses import dataclass, field
from typing import Any

_DEEPEST_KEY = 4  # tuples in tuples that may be the key of a dict: hashing deep ones exhausts the C stack
_LONGEST_KEY = 64


class MalformedError(ValueError):
    """Bytes that are not what they claim to be; the message is a part of a sentence, the reader names the file."""


@dataclass(frozen=True, eq=False)
class Global:
    """A name that a pickle mentions, such as `torch.FloatStorage`: never looked up, only compared."""

    name: str


@dataclass(eq=False)
class Stub:
    """An inert stand-in for an object of a class that is not read: what the pickle says of it, and nothing runs.

    Attributes:
        name: module and class.
        arguments: what it would have been made from.
        state: what it would have been given afterwards, usually a dict of its attributes.
        items, entries: what would have been appended to it, and set in it by key.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unread:
    """A tensor that stands in the file without numbers that can be read, and why."""

    reason: str


def keyed(values: list[Any]) -> dict[Any, Any]:
    """A dict from keys and values in turn. Keys that cannot be hashed in bounded time are replaced by their kind."""
    return {_key(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def _key(key: Any, depth: int = 0) -> Any:
    if key is None or isinstance(key, str | int | float | bytes):
        return key
    if isinstance(key, tuple) and depth < _DEEPEST_KEY and len(key) <= _LONGEST_KEY:
        return tuple(_key(part, depth + 1) for part in key)
    if isinstance(key, Global):
        return key.name
    return f"<{type(key).__name__} {id(key):x}>"
