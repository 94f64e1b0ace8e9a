"""The one exception that a user's mistake raises: a sentence that says what, where and how to mend it."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from outside: a file, a field or a combination of fields.

    The command line prints its message as one sentence and exits with code 2; nothing is left half-written.

    >>> from lcfs import build
    >>> build("s-fc", base_channels=2, classes=1)
    Traceback (most recent call last):
      ...
    lcfs.errors.InputError: classes must be at least 2, got 1
    """


def brief(error: BaseException) -> str:
    """The first line of an error's message without its full stop, at most 200 characters; its type if it has none.

    >>> brief(OSError("No space left on device.\\nTraceback …"))
    'No space left on device'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


def reason(error: BaseException) -> str:
    """Why something failed, in the system's words for an OSError that has them, else the error's first line.

    >>> reason(OSError(28, "No space left on device"))
    'No space left on device'
    """
    return error.strerror if isinstance(error, OSError) and error.strerror else brief(error)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (perhaps you meant …)`, for the sentence about an unknown name; nothing if no known name is close.

    >>> nearest("trian", ["train", "bound"])
    ' (perhaps you meant train)'
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (perhaps you meant {near[0]})" if near else ""
