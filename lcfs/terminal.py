"""The terminal in general: lines and tables that fit it, marks in colour, and the progress of something long.

Rich decides on colour: none in a pipe, none with NO_COLOR set. What is printed is text and never markup, and control
characters in names that come from files are spelled out.
"""

import re
import shutil
import sys
import time
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_NARROWEST = 40
_GAP = 2
_MARKS = {
    "verified": "bold green",
    "NOT verified": "bold red",
    "vacuous": "yellow",
    "best": "bold",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Percentage:
    """Progress of something that may take long, on standard error, once it has taken a second: called with a fraction
    in [0, 1], it rewrites one line, or, where standard error is no terminal, prints a line every ten seconds."""

    def __init__(self, what: str) -> None:
        self._what, self._terminal = what, sys.stderr.isatty()
        self._last = time.monotonic() + (1 if self._terminal else 10) - self._interval

    @property
    def _interval(self) -> float:
        return 0.1 if self._terminal else 10

    def __call__(self, fraction: float) -> None:
        if time.monotonic() - self._last >= self._interval:
            self._last = time.monotonic()
            end = ("\r" if fraction < 1 else "\n") if self._terminal else "\n"
            print(f"{self._what}: {fraction:.0%}", end=end, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """A text on one line, its control characters and those that turn the direction of writing spelled out.

    >>> printable("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def say(line: str) -> None:
    """A line whose words verified, vacuous and best are marked; the terminal may break it, between words if it can."""
    text = Text(printable(line))
    for words, style in _MARKS.items():
        text.highlight_regex(rf"(?<![\w-])(?<!NOT ){words}(?![\w-])", style)
    _console().print(text, soft_wrap=not sys.stdout.isatty())


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A plain table, numbers to the right; one that is wider than the terminal goes on below with its first column.

    Nothing is ever cut. Where the output is no terminal every row is one line, for grep and awk.

    Args:
        header: names of the columns, with their units.
        rows: as many cells each as the header.
    """
    if title:
        say(title)
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    for number, part in enumerate(_parts([max(map(cell_len, column)) for column in zip(*cells, strict=True)])):
        if number:
            print()
        for row in cells:
            line = Text()
            for place, column in enumerate(part):
                aligned = _aligned(row[column], [other[column] for other in cells])
                line.append(" " * _GAP if place else "")
                line.append(aligned, _style(row[column]))
            line.rstrip()
            _console().print(line, soft_wrap=True)


def columns() -> int:
    """Columns to print in: the terminal's but two, as pages are quoted and copied; without limit in a pipe."""
    if not sys.stdout.isatty():
        return sys.maxsize
    return max(shutil.get_terminal_size().columns - 2, _NARROWEST)


def _parts(widths: list[int]) -> list[list[int]]:
    """Columns in groups that fit, each beginning with the first column."""
    parts, room = [[0]], columns() - widths[0]
    for column, width in enumerate(widths[1:], start=1):
        if room < width + _GAP and len(parts[-1]) > 1:
            parts.append([0])
            room = columns() - widths[0]
        parts[-1].append(column)
        room -= width + _GAP
    return parts


def _aligned(cell: str, column: list[str]) -> str:
    """The cell with spaces on the left if all cells below the heading are numbers or empty, else on the right."""
    space = " " * (max(map(cell_len, column)) - cell_len(cell))
    numbers = all(re.match(r"[-−+≤<]?\s?\d|$", other) for other in column[1:])
    return space + cell if numbers else cell + space


def _style(cell: str) -> str:
    return _MARKS.get(cell, "")


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)
