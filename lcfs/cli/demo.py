"""lcfs demo."""

from dataclasses import dataclass
from pathlib import Path

from lcfs.cli.arguments import parse


@dataclass(frozen=True)
class DemoOptions:
    """Train S-CONV, S-LOCAL, 3-FC and S-FC by SGD, L1 and β-LASSO on digits."""

    folder: Path = Path("demo")
    """Where the runs, the table and the pictures go."""
    seeds: int = 3
    """Seeds per cell."""
    epochs: int = 40
    """Epochs per run."""


def demo(arguments: list[str]) -> int:
    """The main job on data that is already there, in under two minutes on two cores."""
    options = parse(DemoOptions, arguments, "lcfs demo")
    from studies import demo as digits

    return digits.run(options.folder, options.seeds, options.epochs)
