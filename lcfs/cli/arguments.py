"""Arguments through tyro, with its boxed messages turned into one sentence."""

import contextlib
import difflib
import io
import re
from collections.abc import Iterable
from typing import Any

import tyro

from lcfs.errors import InputError


def parse(function: Any, arguments: list[str], program: str) -> Any:
    """The values that tyro reads for a function's arguments, as the function returns them.

    Raises: InputError with one sentence instead of tyro's boxed message.
    """
    caught = io.StringIO()
    try:
        with contextlib.redirect_stderr(caught):
            return tyro.cli(function, args=arguments, prog=program)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(_sentence(caught.getvalue(), program)) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """` (perhaps you meant …)`, or nothing if no known name is close."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (perhaps you meant {near[0]})" if near else ""


def _sentence(box: str, program: str) -> str:
    lines = [line.strip("│ ").strip() for line in box.splitlines() if not re.match(r"^[╭╰]", line)]
    rules = [i for i, line in enumerate(lines) if line.startswith("───")] + [len(lines)]
    message = " ".join(lines[: rules[0]]).rstrip(".")
    near = re.search(r"Perhaps you meant:?\s*(--[\w.-]+)", " ".join(lines))
    return f"{message}{f'; perhaps you meant {near[1]}' if near else ''}; {program} --help lists the options"
