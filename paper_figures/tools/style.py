"""One look for all figures, safe for colour-blind readers and in grey print; and one way to save them.

Colours are those of Okabe and Ito. No meaning rests on colour alone: lines and bars also differ in dash, mark or hatch.
"""

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from lcfs.errors import InputError

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT = "#666666", "#E4E4E4"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW, BLACK)

PAPER = {"color": GREY, "fillstyle": "none", "markersize": 4.5, "alpha": 0.75, "linestyle": "none"}  # its values

TEXT_WIDTH = 6.75  # inches, of a page
_SETTINGS = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": BLACK,
    "axes.linewidth": 0.7,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "grid.color": LIGHT,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 250,
    "xtick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.color": GREY,
    "ytick.labelcolor": BLACK,
}


def apply() -> None:
    """Set matplotlib's defaults, and draw without a screen. Call it before making a figure."""
    matplotlib.use("Agg")
    matplotlib.rcParams.update(_SETTINGS)


def save(figure: Figure, name: str, rows: Sequence[Mapping[str, Any]], folder: Path | str = "figures") -> None:
    """Write `name`.pdf, `name`.png and `name`.csv into `folder`, which is made if need be.

    Args:
        rows: the numbers that the figure shows, one mapping for each line of the table, all with the same keys.
    Raises: ValueError if there are no rows: a figure without its numbers is not kept. InputError if `folder` cannot be
        written.
    """
    if not rows:
        raise ValueError(f"rows must not be empty: they are the numbers behind {name}")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})  # same input, same bytes
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); choose another --folder") from error
    finally:
        plt.close(figure)


def draw_from_command_line(draw: Callable[[Path], None], description: str | None) -> None:
    """`draw` into the folder that `--folder` names, figures/ by default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("figures"), help="where to write PDF, PNG and CSV")
    draw(parser.parse_args().folder)
