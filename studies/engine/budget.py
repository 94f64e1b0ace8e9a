"""Hours and their price: which trainings may still begin, when one has to stop, and what it has cost."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lcfs.config import TrainConfig
from studies.engine.records import Record

_SAME_NET = ("architecture", "base_channels", "kernel_size", "data")


class OutOfTime(Exception):
    """The hours are over in the middle of a training, which can be continued from its last checkpoint."""


@dataclass(frozen=True)
class Budget:
    """Time in which trainings may run.

    deadline: unix seconds, at which nothing begins or goes on any more. price_per_hour: of the machine, any currency.
    """

    deadline: float = math.inf
    price_per_hour: float | None = None

    @staticmethod
    def starting_now(hours: float | None, price_per_hour: float | None = None) -> "Budget":
        """A budget of `hours` from now, or of any time for None."""
        return Budget(math.inf if hours is None else time.time() + 3600 * hours, price_per_hour)

    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return time.time() >= self.deadline

    def allows(self, config: TrainConfig, done: Iterable[Record]) -> bool:
        """Whether the time that a training takes is left, judged by the fastest finished run of the same net.

        Without such a run anything may begin until the deadline.
        """
        paces = [seconds(run) / len(run.epochs["train/seconds"]) for run in done if _is_finished_run_of(config, run)]
        needed = min(paces, default=0.0) * config.epochs * config.prune.rounds
        return time.time() + needed < self.deadline

    def priced(self, record: Record) -> Record:
        """The record with the seconds of its epochs, and what they cost if a price is known."""
        spent = seconds(record)
        metrics = {"final/seconds": round(spent, 1)}
        if self.price_per_hour is not None:
            cost = round(spent / 3600 * self.price_per_hour, 4)
            metrics |= {"final/cost": cost, "final/price_per_hour": self.price_per_hour}
        return replace(record, metrics=record.metrics | metrics)


def seconds(record: Record) -> float:
    """What the epochs of a run took."""
    return sum(record.epochs.get("train/seconds", []))


def _is_finished_run_of(config: TrainConfig, run: Record) -> bool:
    same = all(run.config.get(name) == getattr(config, name) for name in _SAME_NET)
    return same and run.status == "finished" and bool(run.epochs.get("train/seconds"))
