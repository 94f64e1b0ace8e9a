"""The terminal in general: tables, and the progress of something that may take long."""

import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

_PLAIN_WIDTH = 10_000  # when the output is no terminal, tables must not be squeezed into 80 columns


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


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A plain table; numbers to the right."""
    table = Table(box=None, title=title, title_justify="left", pad_edge=False)
    for column, name in enumerate(header):
        numeric = all(row[column][:1].isdigit() or not row[column] for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)
    console.print(table)
