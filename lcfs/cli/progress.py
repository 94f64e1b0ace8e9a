"""What is seen of a training while it runs: one line at the start, then one that is rewritten until the end."""

import os
import shutil
import sys
import time

from lcfs.config import TrainConfig
from lcfs.terminal import printable, say
from lcfs.training.watching import Progress, Start

_INTERVAL = 0.1  # seconds between two drawings of the line


class ProgressLine:
    """A line that is rewritten within each epoch; a line for every epoch where standard output is no terminal."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._last = -_INTERVAL
        self._open = False

    def start(self, start: Start) -> None:
        """Say what is about to be trained, and where it is written."""
        config, words = self._config, []
        words.append(f"{config.architecture} by {config.optimizer.name}, {start.weights:,} weights")
        words.append(f"{start.images:,} training images of {start.data}")
        words.append(f"{start.epochs:,} epochs of {start.steps:,} steps")
        words.append(start.device if start.device != "cpu" else f"cpu, {start.threads} threads")
        say(f"{start.run}: {'; '.join(words)}")
        if start.step:
            say(f"resuming at epoch {start.epoch + 1}, step {start.step + 1}")
        elif start.epoch:
            say(f"resuming at epoch {start.epoch + 1}")

    def step(self, progress: Progress) -> None:
        """Show the state within an epoch, at most ten times a second."""
        if self._live and time.monotonic() - self._last >= _INTERVAL:
            self._last = time.monotonic()
            self._draw(f"epoch {progress.epoch + 1}/{progress.epochs} {_bar(progress)}", progress)

    def epoch(self, progress: Progress) -> None:
        """Show the state after an epoch."""
        head = f"epoch {progress.epoch}/{progress.epochs}"
        if self._live:
            self._draw(f"{head} {_bar(progress)}", progress)
        else:
            print("  ".join([head, *_measured(progress)]), flush=True)

    def close(self) -> None:
        """Leave the line as it stands."""
        if self._open:
            self._open = False
            print(flush=True)

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _draw(self, head: str, progress: Progress) -> None:
        """The head and as many of the measurements, the most telling first, as fit beside it."""
        room, line = shutil.get_terminal_size().columns - 1, head
        for part in _measured(progress):
            if len(line) + 2 + len(part) <= room:
                line += f"  {part}"
        self._open = True
        print(f"\r\x1b[K{printable(line[:room])}", end="", flush=True)


def _measured(progress: Progress) -> list[str]:
    """What was measured, the most telling first."""
    parts = [
        f"loss {progress.loss:.4f}",
        f"train accuracy {100 * progress.accuracy:.2f} %",
        f"{_clock(progress.seconds_left)} left",
    ]
    if progress.nonzeros is not None:
        parts.append(f"{progress.nonzeros:,} non-zeros")
    return [*parts, f"{progress.images_per_second:,.0f} images/s"]


def _bar(progress: Progress, width: int = 10) -> str:
    """How far the epoch is."""
    done = width if not progress.step else width * progress.step // progress.steps
    return "[" + "#" * done + "." * (width - done) + "]"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds, as short as they can be said.

    >>> _clock(75), _clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
