"""Permuted pixels: test accuracy with all pixels in order and under one fixed permutation, and the change.

Command: python -m paper_figures.pixel_permutation [--folder FOLDER]. Reads the records of the study pixel_permutation:
mean ± standard error, for the change over pairs of runs with the same seed. The paper claims, without a number, that
its fully-connected nets do not change (faint line at 0); S-CONV is the negative control.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from paper_figures.tools import style
from paper_figures.tools.selecting import by_row, missing
from studies.engine.findings import accuracy
from studies.engine.records import Estimate, Record
from studies.grids import pixel_permutation

_LOOK = {  # colour, mark, label, lines below the training's own
    "in order": (style.BLUE, "o", "pixels in order", -0.1),
    "permuted": (style.VERMILION, "s", "pixels permuted", 0.1),
    "change": (style.BLACK, "D", "permuted − in order", 0.0),
}


def draw(folder: Path) -> None:
    """Write pixel_permutation.pdf, .png and .csv. Raises InputError if there are no records of permuted pixels."""
    style.apply()
    by_training = by_row(pixel_permutation.cells)
    trainings = [row for row in by_training if f"{row}, permuted" in by_training]
    if not any(by_training[f"{row}, permuted"] for row in trainings):
        raise missing("pixel_permutation")
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.TEXT_WIDTH, 2.3), sharey=True)
    rows: list[dict[str, Any]] = []
    for line, training in enumerate(trainings):
        ordered, permuted = by_training[training], by_training[f"{training}, permuted"]
        measured = {
            "in order": _accuracy(ordered),
            "permuted": _accuracy(permuted),
            "change": pixel_permutation.change(ordered, permuted),
        }
        for name, value in measured.items():
            if value:
                _mark(right if name == "change" else left, line, name, value)
                values = {"mean": value.mean, "standard_error": value.standard_error, "n": value.n}
                rows.append({"training": training, "measure": name, **values})
    right.axvline(0, color=style.GREY, linewidth=0.8, linestyle=":", label="paper, S-FC: unchanged", zorder=0)
    left.set(xlabel="test accuracy on CIFAR-10, %", yticks=range(len(trainings)), yticklabels=trainings)
    left.set_ylim(len(trainings) - 0.5, -0.6)
    right.set_xlabel("change of the accuracy, points")
    right.margins(x=0.25)
    for axis in (left, right):
        axis.grid(axis="x")
        axis.set_axisbelow(True)
        axis.tick_params(axis="y", length=0)
    shown = {
        label: handle for axis in (left, right) for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=4, fontsize=7)
    style.save(figure, "pixel_permutation", rows, folder)


def _accuracy(records: Sequence[Record]) -> Estimate | None:
    return accuracy(records) if records else None


def _mark(axis: Axes, line: int, name: str, value: Estimate) -> None:
    color, marker, label, below = _LOOK[name]
    look = {"color": color, "fmt": marker, "markersize": 5, "capsize": 2, "elinewidth": 1}
    axis.errorbar(value.mean, line + below, xerr=value.standard_error, **look, label=label)
    if name == "change":
        spread = f" ± {value.standard_error:.2f}" if value.n > 1 else ""
        text = f"{value.mean:+.2f}{spread}, n = {value.n}".replace("-", "−")
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axis.annotate(text, (value.mean, line), (0, 6), textcoords="offset points", ha="center", fontsize=7, bbox=box)


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
