"""Where training of linear convolutional networks ends, by architecture and stride: the record of `analyses.lcn`.

a  SGD: the share of runs that end above the best loss, by the kind of critical point. Bars of standard error.
b  Nets that L1 and β-LASSO lose: P = 0, also after plain descent took over.
c  Of the others, the share that reaches the best loss; the black line is SGD.

Command: python -m paper_figures.lcn_outcomes [--folder FOLDER]. Reads studies/records/lcn.json.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from paper_figures.tools import style
from studies.engine.records import RECORDS

RECORD = RECORDS / "lcn.json"
Row = dict[str, Any]
_KINDS = (  # what is stacked in panel a: name, outcomes, colour, hatch
    ("spurious minimum", ("spurious",), style.VERMILION, ""),
    ("minimum on the variety (pure)", ("pure",), style.SKY, "////"),
    ("saddle or not settled", ("saddle", "collapsed", "unsettled"), style.GREY, ""),
)
_MARKS = {  # colour, mark, filled, place beside the row
    ("L1", 0.1): (style.BLUE, "o", False, -0.3),
    ("L1", 0.3): (style.BLUE, "o", True, -0.1),
    ("β-LASSO", 0.1): (style.VERMILION, "s", False, 0.1),
    ("β-LASSO", 0.3): (style.VERMILION, "s", True, 0.3),
}


def table(record: dict[str, Any]) -> list[Row]:
    """One flat row for each architecture and optimizer, in the order of the record."""
    rows = []
    for result in record["results"]:
        outcomes = zip(record["outcomes"], result["outcomes"], strict=True)
        shares = {**dict(outcomes), **{name: result[name] for name in ("at_spurious", "optimal_if_alive")}}
        row = {"filter_sizes": tuple(result["filter_sizes"]), "strides": tuple(result["strides"])}
        row |= {key: result["optimizer"][key] for key in ("name", "l1", "beta")}
        row |= {key: result[key] for key in ("targets", "starts", "shared_at_spurious", "shared_elsewhere", "zeros")}
        for name, share in shares.items():
            row |= {name: share["mean"], f"{name}_se": share["standard_error"]}
        rows.append(row)
    return rows


def label(row: Row) -> str:
    """Filter sizes and the strides that matter: the last one only moves the outputs."""
    *inner, _ = row["strides"]
    sizes = ", ".join(map(str, row["filter_sizes"]))
    return f"({sizes})   {'stride' if len(inner) == 1 else 'strides'} {', '.join(map(str, inner))}"


def draw_sgd(axes: Axes, rows: Sequence[Row]) -> None:
    """Panel a."""
    places = np.arange(len(rows))
    left = np.zeros(len(rows))
    for name, outcomes, color, hatch in _KINDS:
        width = np.array([sum(row[outcome] for outcome in outcomes) for row in rows])
        axes.barh(places, width, 0.62, left, color=color, hatch=hatch, edgecolor="white", lw=0.4, label=name)
        left += width
    some = left > 0
    errors = np.array([row["optimal_se"] for row in rows])
    axes.errorbar(left[some], places[some], xerr=errors[some], fmt="none", ecolor=style.BLACK, elinewidth=0.9)
    for place in places[~some]:
        axes.annotate("none", (0, place), (4, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set(yticks=places, yticklabels=[label(row) for row in rows], xlim=(0, 0.36), xlabel="share of runs")


def draw_optimizers(axes: Axes, cells: Sequence[Sequence[Row]], column: str, title: str) -> None:
    """Panels b and c: one mark for each optimizer but SGD."""
    for (name, l1), (color, mark, filled, offset) in _MARKS.items():
        chosen = [row for rows in cells for row in rows if (row["name"], row["l1"]) == (name, l1)]
        axes.errorbar(
            [row[column] for row in chosen],
            np.arange(len(cells)) + offset,
            xerr=[row[f"{column}_se"] for row in chosen],
            fmt=mark,
            ms=4,
            color=color,
            mfc=color if filled else "white",
            elinewidth=0.8,
            label=f"{name}, λ = {l1}",
        )
    axes.set(xlabel=title)


def draw(folder: Path, record: Path = RECORD) -> None:
    """Write lcn_outcomes.pdf, .png and .csv from a record of `studies.analyses.lcn`."""
    rows = table(json.loads(record.read_text(encoding="utf-8")))
    cells = [[row for row in rows if label(row) == name] for name in dict.fromkeys(map(label, rows))]
    style.apply()
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(style.TEXT_WIDTH, 3.1), sharey=True, width_ratios=(1.15, 1, 1)
    )
    draw_sgd(left, [row for row in rows if row["name"] == "SGD"])
    draw_optimizers(middle, cells, "collapsed", "share of runs")
    draw_optimizers(right, cells, "optimal_if_alive", "share of the other runs")
    best = [row["optimal_if_alive"] for row in rows if row["name"] == "SGD"]
    right.vlines(best, np.arange(len(best)) - 0.42, np.arange(len(best)) + 0.42, style.BLACK, lw=1.3, label="SGD")
    for axes, title in (
        (left, "a  SGD: not the best"),
        (middle, "b  Nets lost"),
        (right, "c  The best, of the rest"),
    ):
        axes.set_title(title)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
    left.invert_yaxis()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", fontsize=7)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=3, fontsize=7)
    style.save(figure, "lcn_outcomes", rows, folder)


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
