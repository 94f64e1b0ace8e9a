"""Figure 1: weights of the six nets against α and against the side of the image.

Command: python -m paper_figures.figure1 [--folder FOLDER]
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from matplotlib import pyplot as plt

from paper_figures.tools import style
from studies.analyses.parameter_counts import NETS, Count, by_side, by_width

_LOOK = {"conv": ("o", "-"), "local": ("s", "--"), "fc": ("^", ":")}
_COLOURS = {"s": style.BLUE, "d": style.VERMILION}


def draw(folder: Path) -> None:
    """Write figure1.pdf, .png and .csv."""
    style.apply()
    figure, axes = plt.subplots(1, 2, figsize=(style.TEXT_WIDTH, 2.9), sharey=True)
    widths, sides = by_width(), by_side()
    _curves(axes[0], widths, "base_channels")
    _curves(axes[1], sides, "side")
    axes[0].set(xlabel="α, images 32 × 32", ylabel="weights", xscale="log", yscale="log", title="width")
    axes[1].set(xlabel="side of the image, α = 150 (S) and 15 (D)", xscale="log", title="resolution")
    axes[1].set_xticks([16, 32, 64, 128], labels=["16", "32", "64", "128"], minor=False)
    axes[1].set_xticks([], minor=True)
    axes[0].axhline(256.24e6, color=style.GREY, linewidth=0.6)
    axes[0].annotate("256 M", (2, 256.24e6), xytext=(0, 2), textcoords="offset points", color=style.GREY, fontsize=7)
    axes[1].legend(loc="upper left", fontsize=7, ncols=2)
    rows = [{"panel": panel, **asdict(row)} for panel, counts in (("width", widths), ("side", sides)) for row in counts]
    style.save(figure, "figure1", rows, folder)


def _curves(axis: plt.Axes, counts: Sequence[Count], along: str) -> None:
    for net in NETS:
        family, kind = net.split("-")
        marker, dashes = _LOOK[kind]
        points = [row for row in counts if row.net == net]
        x, y = [getattr(row, along) for row in points], [row.weights for row in points]
        axis.plot(x, y, dashes, marker=marker, markersize=3.5, color=_COLOURS[family], label=net.upper())
    axis.grid(axis="y")


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
