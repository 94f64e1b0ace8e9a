"""Options through tyro into frozen dataclasses, with its boxed messages turned into one sentence."""

import contextlib
import io
import re
from typing import TypeVar

import tyro

from lcfs.errors import InputError

Options = TypeVar("Options")


def parse(options: type[Options], arguments: list[str], program: str, *, default: Options | None = None) -> Options:
    """Options as a frozen dataclass, read from the words of a command line.

    Args:
        options: the dataclass; its docstring describes the command, those of its fields the options.
        arguments: the words behind the command's name.
        program: the command, as the usage line and the errors name it.
        default: values to start from, where the fields have none of their own.

    Raises:
        InputError: an unknown option or a value of another type, in one sentence.
        SystemExit: after --help.
    """
    caught = io.StringIO()
    try:
        with contextlib.redirect_stderr(caught):
            if default is None:
                return tyro.cli(options, args=arguments, prog=program)
            return tyro.cli(options, args=arguments, prog=program, default=default)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(_sentence(caught.getvalue(), program)) from None


_EXPECTED = (
    (r"invalid literal for int\(\) with base \d+: (.*)", r"expected a whole number, got \1"),
    (r"could not convert string to float: (.*)", r"expected a number, got \1"),
)
"""What Python's own conversions say, and what a person would."""


def _sentence(box: str, program: str) -> str:
    lines = [line.strip("│ ").strip() for line in box.splitlines() if not re.match(r"^[╭╰]", line)]
    rules = [i for i, line in enumerate(lines) if line.startswith("───")] + [len(lines)]
    message = " ".join(lines[: rules[0]]).rstrip(".").removeprefix("Error parsing ")
    for python, person in _EXPECTED:
        message = re.sub(python, person, message)
    near = re.search(r"Perhaps you meant:?\s*(--[\w.-]+)", " ".join(lines))
    return f"{message}{f'; perhaps you meant {near[1]}' if near else ''}; {program} --help lists the options"
