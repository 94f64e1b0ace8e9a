"""Figure 4: first-layer filters of S-FC by SGD and by β-LASSO and of S-LOCAL, with their radius of gyration.

Command: python -m paper_figures.figure4 [--folder FOLDER]. Reads studies/records/learned_filters.json and .npz.
"""

import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from paper_figures.tools import style
from paper_figures.tools.paper import tables
from studies.engine.records import RECORDS

RADIUS = "radius of gyration, px"
_COLUMNS, _ROWS = 6, 4
_OPTIMIZERS = {"sgd": "SGD", "beta-lasso": "β-LASSO"}


def draw(folder: Path) -> None:
    """Write figure4.pdf, .png and .csv."""
    style.apply()
    radii = tables()["radius_of_gyration"]
    layers = json.loads((RECORDS / "learned_filters.json").read_text())
    images = np.load(RECORDS / "learned_filters.npz", allow_pickle=False)
    figure = plt.figure(figsize=(style.TEXT_WIDTH, 2.95))
    grid = figure.add_gridspec(2, 1, height_ratios=(1.05, 1))
    banks, below = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    columns = banks.add_gridspec(1, len(layers))
    for column, row in enumerate(layers):
        part = banks.add_subfigure(columns[column])
        part.suptitle(_title(row), fontsize=8)
        for image, axis in zip(images[row["name"]].astype(float), part.subplots(_ROWS, _COLUMNS).flat, strict=False):
            axis.imshow(image, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        for axis in part.axes:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(visible=True, linewidth=0.3)
    axis = below.subplots()
    for place, row in enumerate(reversed(layers)):
        low, median, high, permuted = row["measures"][RADIUS]
        axis.plot((low, high), (place, place), color=style.BLUE, linewidth=3, solid_capstyle="butt", alpha=0.45)
        axis.plot(median, place, "o", color=style.BLUE, label="median, bar from 10 to 90 %" if place == 0 else None)
        axis.plot(permuted, place, "x", color=style.VERMILION, label="median, pixels permuted" if place == 0 else None)
        if paper := radii.get(f"{row['net']}, {row['optimizer']}"):
            label = None if "paper" in (axis.get_legend_handles_labels()[1]) else "paper"
            axis.plot(sum(paper) / len(paper), place, "D", color=style.GREY, fillstyle="none", label=label)
    axis.axvline(radii["random mask"], color=style.GREY, linewidth=0.6, linestyle=":")
    axis.annotate(
        "random mask",
        (radii["random mask"], len(layers) - 0.55),
        fontsize=7,
        color=style.GREY,
        ha="right",
        xytext=(-2, 0),
        textcoords="offset points",
    )
    axis.set_yticks(range(len(layers)), labels=[_title(row) for row in reversed(layers)])
    axis.set(xlabel="radius of gyration of a filter, pixels", xlim=(0, None), ylim=(-0.6, len(layers) - 0.2))
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    rows = [
        {
            "net": row["net"],
            "optimizer": row["optimizer"],
            "base_channels": row["base_channels"],
            "epochs": row["epochs"],
            "measure": name,
            **dict(zip(("p10", "median", "p90", "median_pixels_permuted"), values, strict=True)),
        }
        for row in layers
        for name, values in row["measures"].items()
    ]
    style.save(figure, "figure4", rows, folder)


def _title(row: dict) -> str:
    return f"{row['net'].upper()}, {_OPTIMIZERS[row['optimizer']]}"


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
