"""λ × β: test accuracy and non-zero weights of S-FC by β-LASSO over a grid of both.

Command: python -m paper_figures.beta_lambda [--folder FOLDER]. Reads the records of the study lambda_and_beta: of S-FC
at one width, λ of the layer that replaces the convolution against β; λ of the others is in a fixed ratio to it.
The paper prints one accuracy each for β = 0, 1 and 50 (Table 2) and not its λ: a row of its own on top.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from paper_figures.figure3 import paper_density
from paper_figures.tools import style
from paper_figures.tools.paper import tables
from paper_figures.tools.selecting import LAPTOP, by_row, missing
from studies.engine.findings import accuracy, density
from studies.engine.records import Estimate, Record
from studies.engine.scales import SCALES
from studies.grids import lambda_and_beta

_MAP = colormaps["cividis"]  # the same order in grey
Grid = dict[tuple[float, float], list[Record]]


@dataclass(frozen=True)
class Panel:
    """A measure in percent, the paper's values of it by β, and how many decimals are printed."""

    name: str
    measure: Callable[[Sequence[Record]], Estimate]
    paper: Mapping[float, float]
    digits: int


def draw(folder: Path) -> None:
    """Write beta_lambda.pdf, .png and .csv. Raises InputError if the records hold no two λ and two β of one width."""
    style.apply()
    by_cell = grid()
    lambdas, betas = (sorted({cell[place] for cell in by_cell}) for place in (0, 1))
    if min(len(lambdas), len(betas)) < 2:
        raise missing("lambda_and_beta")
    figure, axes = plt.subplots(1, 2, figsize=(style.TEXT_WIDTH, 1.2 + 0.3 * len(lambdas)), sharey=True)
    printed: dict[float, float] = {beta: tables()["table2"]["rows"][f"S-FC, β = {beta}"][0] for beta in (0, 1, 50)}
    panels = (
        Panel("test accuracy, %", accuracy, printed, 1),
        Panel("weights not zero, %", density, {50: paper_density()}, 2),
    )
    columns = sorted({*betas, *printed})
    rows: list[dict[str, Any]] = []
    for axis, panel in zip(axes, panels, strict=True):
        values = {cell: panel.measure(runs) for cell, runs in by_cell.items()}
        _cells(axis, panel, values, lambdas, columns)
        for beta, value in panel.paper.items():
            _frame(axis, columns.index(beta), len(lambdas), f"{value:.{panel.digits}f}")
            rows.append(_row(panel.name, "paper", "", beta, value))
        rows += [_row(panel.name, "ours", *cell, value, by_cell[cell][0]) for cell, value in values.items()]
        labels = [*(f"{1e5 * value:.4g}" for value in lambdas), "paper"]
        axis.set(
            title=panel.name, xticks=range(len(columns)), xticklabels=[f"{beta:g}" for beta in columns], xlabel="β"
        )
        axis.set(yticks=range(len(labels)), yticklabels=labels, xlim=(-0.5, len(columns) - 0.5))
        axis.set_ylim(-0.5, len(lambdas) + 0.5)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel("λ of the first layer × 10⁵")
    style.save(figure, "beta_lambda", rows, folder)


def grid() -> Grid:
    """Seeds of one training together, by λ of the first layer and β; all share λ between the layers in one ratio."""
    ratio = SCALES[LAPTOP.scale].l1_fc / SCALES[LAPTOP.scale].l1_conv
    by_cell: Grid = {}
    for runs in by_row(lambda_and_beta.cells).values():
        if runs:
            optimizer = runs[0].config["optimizer"]
            if math.isclose(optimizer["l1_fc"] / optimizer["l1_conv"], ratio):
                by_cell[optimizer["l1_conv"], optimizer["beta"]] = runs
    return by_cell


def _cells(
    axis: Axes,
    panel: Panel,
    values: Mapping[tuple[float, float], Estimate],
    lambdas: Sequence[float],
    columns: Sequence[float],
) -> None:
    """A rectangle and a number for each cell that was run; white where none was."""
    means = np.full((len(lambdas), len(columns)), np.nan)
    for (strength, beta), value in values.items():
        means[lambdas.index(strength), columns.index(beta)] = value.mean
    shades = np.log10(np.maximum(means, 1e-3)) if panel.measure is density else means
    low, high = np.nanmin(shades), np.nanmax(shades)
    shades = (shades - low) / (high - low or 1)
    axis.imshow(shades, cmap=_MAP, vmin=0, vmax=1, origin="lower", aspect="auto")
    for (line, column), shade in np.ndenumerate(shades):
        if not np.isnan(shade):
            ink = "white" if shade < 0.5 else style.BLACK
            text = f"{means[line, column]:.{panel.digits}f}"
            axis.annotate(text, (column, line), ha="center", va="center", fontsize=7, color=ink)


def _frame(axis: Axes, column: int, line: int, text: str) -> None:
    look = {"fill": False, "edgecolor": style.GREY, "linewidth": 0.7, "alpha": 0.7}
    axis.add_patch(Rectangle((column - 0.44, line - 0.38), 0.88, 0.76, **look))
    axis.annotate(text, (column, line), ha="center", va="center", fontsize=7, color=style.GREY)


def _row(
    measure: str, source: str, strength: float | str, beta: float, value: float | Estimate, record: Record | None = None
) -> dict[str, Any]:
    ours = isinstance(value, Estimate)
    return {
        "measure": measure,
        "source": source,
        "l1_conv": strength,
        "l1_fc": record.config["optimizer"]["l1_fc"] if record else "",
        "beta": beta,
        "mean": value.mean if ours else value,
        "standard_error": value.standard_error if ours else "",
        "n": value.n if ours else "",
        "base_channels": record.config["base_channels"] if record else "",
    }


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
