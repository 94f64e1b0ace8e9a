"""lcfs demo."""

from dataclasses import dataclass
from pathlib import Path

from lcfs.cli.arguments import parse
from lcfs.errors import InputError


@dataclass(frozen=True)
class DemoOptions:
    """Train S-CONV, S-LOCAL, 3-FC and S-FC by SGD, L1 and β-LASSO on digits."""

    folder: Path = Path("demo")
    """Where the runs and the pictures go."""
    seeds: int = 3
    """Seeds per cell."""
    epochs: int = 40
    """Epochs per run."""


def demo(arguments: list[str]) -> int:
    """Train small nets on digits, in under two minutes on two cores."""
    options = parse(DemoOptions, arguments, "lcfs demo")
    for name, value in (("seeds", options.seeds), ("epochs", options.epochs)):
        if value < 1:
            raise InputError(f"--{name} must be at least 1, got {value}")
    from studies import demo as digits

    return digits.run(options.folder, options.seeds, options.epochs)
