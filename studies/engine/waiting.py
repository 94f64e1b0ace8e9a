"""Waiting for cells that other processes train."""

import time
from collections.abc import Iterator
from pathlib import Path

from lcfs.runs.lock import trained_by
from studies.engine.budget import Budget

_POLL_SECONDS = 1.0


def take_when_free(busy: set[str], runs: Path, budget: Budget) -> Iterator[str]:
    """The names of cells as nobody trains them any more, each taken out of `busy`; a caller may put one back.

    A cell that the other process has finished is given too: to train it again does nothing. Ends with the budget.
    """
    if busy:
        print(f"waiting for {len(busy)} runs that other processes train: {', '.join(sorted(busy))}", flush=True)
    while busy and not budget.is_over():
        free = [name for name in sorted(busy) if trained_by(runs / name) is None]
        for name in free:
            busy.remove(name)
            yield name
        if not free:
            time.sleep(_POLL_SECONDS)
