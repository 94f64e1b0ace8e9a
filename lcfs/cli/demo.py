"""lcfs demo."""

from pathlib import Path

from lcfs.cli.arguments import parse


def demo(arguments: list[str]) -> int:
    """The main job on data that is already there, in under two minutes on two cores."""

    def options(folder: Path = Path("demo"), seeds: int = 3, epochs: int = 40) -> tuple[Path, int, int]:
        """Train S-CONV, S-LOCAL, 3-FC and S-FC by SGD, L1 and β-LASSO on digits.

        Args:
            folder: Where the runs, the table and the pictures go.
            seeds: Seeds per cell.
            epochs: Epochs per run.
        """
        return folder, seeds, epochs

    from studies import demo as digits

    folder, seeds, epochs = parse(options, arguments, "lcfs demo")
    return digits.run(folder, seeds, epochs)
