"""Mirroring a launch while it runs: one thread sends its cells, whichever processes and machines train them."""

import contextlib
import os
import threading
from pathlib import Path

from lcfs.runs.launch import Launch, launches_below, read_launch
from lcfs.tracking._client import close_killed, connect
from lcfs.tracking._parents import places, send_launch
from lcfs.tracking._replay import send


class LaunchMirror:
    """Sends a launch and its cells every few seconds; never raises and never waits for a server before `close`.

    Each pass tries anew, so that a server which comes back finds all that it missed.
    """

    def __init__(self, launch: Path, uri: str, interval_s: float = 10.0) -> None:
        self._launch, self._uri, self._interval = launch, uri, interval_s
        self._runs = launch.parent.parent
        now = read_launch(launch)
        self._over = set(now.cells) - set(now.trained)  # nobody trains them any more
        self._sent: set[str] = set()  # over and in MLflow
        self._claimed: set[str] = set()
        self._others: list[tuple[Launch, str | None]] | None = None
        self._failed: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lcfs-mlflow", daemon=True)
        self._thread.start()

    def over(self, cell: str) -> None:
        """A cell has ended: it is sent once more."""
        self._over.add(cell)

    def close(self) -> str | None:
        """Send the rest; what keeps back anything, or None if MLflow has everything."""
        self._stop.set()
        self._thread.join()
        self._over.update(read_launch(self._launch).cells)
        self._sent.clear()  # pictures may have come since
        self._pass()
        return self._failed

    def _work(self) -> None:
        self._pass()
        while not self._stop.wait(self._interval):
            self._pass()

    def _pass(self) -> None:
        self._failed = None
        try:
            launch = read_launch(self._launch)
            if self._others is None:
                close_killed(connect(self._uri))
                self._others = self._earlier(launch)
            launches = [*self._others, (launch, send_launch(self._launch, self._uri, claim=launch.ended is None))]
        except Exception as error:  # never fatal to training; lcfs sync replays
            self._failed = line(error)
            return
        for name in [name for name in launch.cells if name not in self._sent]:
            over, path = name in self._over, self._runs / name
            if not (path / "config.json").exists() or not (over or _active(path, launch.started)):
                continue
            try:
                (place,) = places(path, launches)
                claim = not over and name not in self._claimed
                send(path, self._uri, place, claim=claim, closing=over, dead=over)
                self._claimed.add(name)
                if over:
                    self._sent.add(name)
            except Exception as error:
                self._failed = line(error)

    def _earlier(self, launch: Launch) -> list[tuple[Launch, str | None]]:
        """The study's other launches, under which are the cells that they trained."""
        earlier: list[tuple[Launch, str | None]] = []
        for folder in launches_below(self._runs):
            with contextlib.suppress(ValueError):  # a damaged one concerns lcfs sync alone
                other = read_launch(folder)
                if other.launch_id != launch.launch_id and other.experiment == launch.experiment:
                    earlier.append((other, send_launch(folder, self._uri)))
        return earlier


def line(error: BaseException) -> str:
    """The first line of what went wrong."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _active(path: Path, since: float) -> bool:
    """Whether something was written into a run directory since a time in unix seconds."""
    files = (path / name for name in ("config.json", "metrics.jsonl"))
    return any(os.path.getmtime(file) >= since for file in files if file.exists())
