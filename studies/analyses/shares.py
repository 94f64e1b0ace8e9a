"""Shares of runs with their uncertainty, where several runs belong to one target and are not independent."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Share:
    """A share of runs: the mean over targets of the share among a target's starts; the standard error over targets."""

    mean: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.standard_error:.3f}"

    @classmethod
    def of(cls, indicator: np.ndarray, among: np.ndarray | None = None) -> "Share":
        """From 0/1 values (or differences of them), [targets, starts]; of the runs `among` if given, as a ratio.

        The error of a ratio r = Σx/Σy is that of the mean of (x − ry)/ȳ: linearization, for runs clustered by target.
        """
        weights = np.ones_like(indicator, dtype=float) if among is None else among.astype(float)
        x, y = (indicator * weights).mean(axis=1), weights.mean(axis=1)
        if not y.any():
            return cls(0.0, 0.0)
        ratio = x.mean() / y.mean()
        spread = (x - ratio * y).std(ddof=1) / y.mean() / np.sqrt(len(x)) if len(x) > 1 else 0.0
        return cls(round(float(ratio), 4), round(float(spread), 4))
