"""The line that shows how a training gets on."""

import sys

from rich.console import Console
from rich.live import Live
from rich.text import Text

from lcfs.training.loop import Progress


class ProgressLine:
    """One line that is rewritten after each epoch; plain lines where standard output is no terminal."""

    def __init__(self) -> None:
        self._live = Live(console=Console(), auto_refresh=False, transient=False) if sys.stdout.isatty() else None

    def __enter__(self) -> "ProgressLine":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the line as it stands."""
        if self._live:
            self._live.stop()

    def show(self, p: Progress) -> None:
        """Show the state after an epoch."""
        minutes, seconds = divmod(round(p.seconds_left), 60)
        text = (
            f"epoch {p.epoch}/{p.epochs}  loss {p.loss:.4f}  accuracy {100 * p.accuracy:.2f} %  "
            f"non-zeros {p.nonzeros:,}  {minutes}:{seconds:02d} left"
        )
        if self._live:
            self._live.update(Text(text), refresh=True)
        else:
            print(text, flush=True)
