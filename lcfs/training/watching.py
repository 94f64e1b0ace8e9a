"""What whoever watches a training is told: how it starts, how it gets on within an epoch, and how long it will take."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from lcfs.nets.architectures import count_weights
from lcfs.runs import Run
from lcfs.training.session import Session
from lcfs.training.step import Totals


@dataclass(frozen=True)
class Start:
    """What a training is about to do.

    Attributes:
        epoch, step: what is done already, 0 and 0 unless the run goes on.
        epochs, steps: those of the whole run, and those of each epoch.
        weights: as the paper counts them.
        images: of the training set.
        device: "cpu", or the name of the GPU. threads: of a CPU.
    """

    run: Path
    epoch: int
    step: int
    epochs: int
    steps: int
    weights: int
    data: str
    images: int
    device: str
    threads: int


@dataclass(frozen=True)
class Progress:
    """Where a training is, within an epoch or at its end.

    Attributes:
        epoch: epochs that are done; step: steps of the next one that are, 0 at the end of an epoch.
        loss: mean in nats over the images of the epoch so far; accuracy: on them as augmented, in [0, 1].
        nonzeros: weights that are not zero at the end of the last epoch, None before.
        images_per_second: of the training alone. seconds_left: of it, at this pace.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    nonzeros: int | None
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Watcher:
    """Functions that are called, in the first rank alone, at the start, within epochs and after each of them."""

    on_start: Callable[[Start], None] | None = None
    on_step: Callable[[Progress], None] | None = None
    on_epoch: Callable[[Progress], None] | None = None


class Watch:
    """The pace of a session's steps, measured from one epoch's beginning to its end, and a watcher that hears of it."""

    def __init__(self, session: Session, epochs: int, watcher: Watcher) -> None:
        self._session, self._epochs, self._watcher = session, epochs, watcher
        self._seconds = self._begun = 0.0
        self._taken = self._first = 0
        self._nonzeros: int | None = None

    def start(self, run: Run) -> None:
        """Tell of the run before its first step."""
        session = self._session
        if self._watcher.on_start and session.ranks.first:
            gpu = session.device.type == "cuda"
            self._watcher.on_start(
                Start(
                    run=run.path,
                    epoch=session.epoch,
                    step=self._done(),
                    epochs=self._epochs,
                    steps=session.steps,
                    weights=count_weights(session.model),
                    data=session.dataset.name,
                    images=len(session.dataset.train),
                    device=torch.cuda.get_device_name(session.device) if gpu else "cpu",
                    threads=torch.get_num_threads(),
                )
            )

    def begin(self) -> None:
        """Start the clock: an epoch begins, or what is left of it."""
        self._begun, self._first = time.monotonic(), self._done()

    def step(self, step: int, totals: Totals) -> None:
        """Tell of the steps of an epoch that are done, whenever their loss has been read."""
        if self._watcher.on_step and self._session.ranks.first:
            running = time.monotonic() - self._begun
            self._watcher.on_step(self._progress(step, totals, self._seconds + running, step - self._first))

    def end(self) -> None:
        """Stop the clock: the steps of an epoch are done, what follows them is no training."""
        self._seconds += time.monotonic() - self._begun
        self._taken += (self._done() or self._session.steps) - self._first

    def epoch(self, totals: Totals, nonzeros: int) -> None:
        """Tell of an epoch that is done."""
        self._nonzeros = nonzeros
        if self._watcher.on_epoch and self._session.ranks.first:
            self._watcher.on_epoch(self._progress(0, totals, self._seconds, 0))

    def _done(self) -> int:
        return self._session.part.steps if self._session.part else 0

    def _progress(self, step: int, totals: Totals, seconds: float, taken: int) -> Progress:
        session, steps = self._session, self._session.steps
        pace = max(seconds, 1e-9) / max(self._taken + taken, 1)
        left = (self._epochs - session.epoch) * steps - step
        batch = min(session.config.batch_size, len(session.dataset.train))
        return Progress(
            session.epoch,
            self._epochs,
            step,
            steps,
            totals.loss,
            totals.accuracy,
            self._nonzeros,
            images_per_second=batch / pace,
            seconds_left=left * pace,
        )
