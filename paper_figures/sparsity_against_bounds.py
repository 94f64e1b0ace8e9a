"""Sparsity against bounds: bits of the shortest description against density, generalization gap and the best bound.

Command: python -m paper_figures.sparsity_against_bounds [--folder FOLDER]. Reads the records of the study
sparsity_against_bounds, one mark a run, and, as dots, the certificates of studies/records/certificates.json, whose nets
were pruned and quantized, and one of which was trained for its bound. The faint line is the paper's Theorem 1 for a net
without train errors; a bound of 90 % is what guessing among ten classes achieves.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy.stats import spearmanr

from paper_figures.tools import selecting, style
from studies.engine.records import Record
from studies.grids import sparsity_against_bounds
from theory.bounds import theorem1

_BOUNDS = ("theorem1", "occam_hoeffding", "occam_kl", "occam_binomial")
_CHANCE = 0.9
_KINDS = {  # by net and optimizer: colour, mark
    "D-CONV": (style.GREEN, "<"),
    "D-LOCAL": (style.GREEN, "p"),
    "D-FC": (style.GREEN, "v"),
    "S-CONV": (style.BLUE, "o"),
    "S-LOCAL": (style.BLUE, "s"),
    "S-FC": (style.BLUE, "^"),
    "3-FC": (style.BLACK, "D"),
    "S-FC, β-LASSO": (style.VERMILION, "P"),
}


def draw(folder: Path) -> None:
    """Write sparsity_against_bounds.pdf, .png and .csv. Raises InputError if there are no records."""
    style.apply()
    by_net = selecting.by_row(sparsity_against_bounds.cells)
    nets = [run_row(record) for records in by_net.values() for record in records]
    if len(nets) < 3:
        raise selecting.missing("sparsity_against_bounds")
    certified = [certificate_row(c) for c in json.loads((selecting.RECORDS / "certificates.json").read_text())]
    figure, axes = plt.subplots(1, 3, figsize=(style.TEXT_WIDTH, 2.9))
    for row in nets:
        color, marker = _KINDS[row["kind"]]
        look = {"color": color, "marker": marker, "linestyle": "none", "fillstyle": "none", "label": row["kind"]}
        look |= {"markersize": 5, "markeredgewidth": 0.9}
        axes[0].plot(row["density"], row["bits_per_image"], **look)
        axes[1].plot(row["bits_per_image"], row["gap"], **look)
        axes[2].plot(row["bits_per_image"], row["bound"], **look)
    for row in certified:
        look = {"marker": ".", "color": style.BLACK, "linestyle": "none", "markersize": 7, "label": "certificate"}
        axes[2].plot(row["bits_per_image"], row["bound"], **look)
    _theory(axes[2])
    for beta, row in {row["beta"]: row for row in nets if row["beta"] != ""}.items():
        place = (row["density"], row["bits_per_image"])
        axes[0].annotate(f"β = {beta:g}", place, (-6, -2.5), textcoords="offset points", ha="right", fontsize=7)
    correlation = spearmanr([row["bits_per_image"] for row in nets], [row["gap"] for row in nets]).statistic
    axes[0].set(title="sparsity", xlabel="weights not zero, %", ylabel="bits per image", xscale="log", yscale="log")
    axes[0].set(xlim=(0.3, 200), ylim=(10, 1e4))
    axes[0].set_xticks([1, 10, 100], labels=["1", "10", "100"])
    axes[0].set_yticks([10, 100, 1000, 10_000], labels=["10", "100", "1,000", "10,000"])
    axes[1].set(title="generalization", xlabel="bits per image", ylabel="test − train error, points", xscale="log")
    note = f"Spearman's ρ = {correlation:.2f}\n{len(nets)} runs"
    axes[1].annotate(note, (0.04, 0.97), xycoords="axes fraction", fontsize=7, va="top")
    axes[1].set_xlim(10, 2e4)
    axes[1].set_xticks([10, 100, 1000, 10_000], labels=["10", "100", "1,000", "10,000"])
    axes[1].margins(y=0.2)
    axes[2].set(title="bounds", xlabel="bits per image", ylabel="bound on the error, %", xscale="log", ylim=(0, 105))
    axes[2].set_xticks([0.1, 10, 1000], labels=["0.1", "10", "1,000"])
    for axis in axes:
        axis.grid(axis="both")
        axis.set_axisbelow(True)
    shown = dict(zip(*reversed(axes[2].get_legend_handles_labels()), strict=True))
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=5, fontsize=7)
    style.save(figure, "sparsity_against_bounds", [*nets, *certified], folder)


def run_row(record: Record) -> dict[str, Any]:
    """One run: the shortest of its descriptions, its gap, and its least bound, in percent."""
    metrics, optimizer = record.metrics, record.config["optimizer"]["name"]
    kind = record.config["architecture"].upper() + (", β-LASSO" if optimizer == "beta-lasso" else "")
    return {
        "name": record.name,
        "kind": kind,
        "beta": record.config["optimizer"]["beta"] if optimizer == "beta-lasso" else "",
        "density": 100 * metrics["final/nonzeros"] / metrics["final/weights"],
        "bits_per_image": metrics["bits/best"] / record.samples,
        "gap": 100 * sparsity_against_bounds.gap(record),
        "bound": 100 * min(value for name, value in metrics.items() if name.startswith("bound/")),
    }


def certificate_row(certificate: dict[str, Any]) -> dict[str, Any]:
    """One certificate, with the keys of `run_row`."""
    return {
        "name": certificate["name"],
        "kind": "certificate",
        "beta": "",
        "density": "",
        "bits_per_image": certificate["bits"] / certificate["images"],
        "gap": 100 * (certificate["test_error"] - certificate["train_error"]),
        "bound": 100 * min(certificate[name] for name in _BOUNDS),
    }


def _theory(axis: Axes) -> None:
    bits, images = np.geomspace(0.03, 2.2, 60), 50_000
    bounds = [100 * theorem1(0.0, float(each) * images, images) for each in bits]
    axis.plot(bits, bounds, color=style.GREY, linewidth=0.8, label="paper, Theorem 1, no train errors")
    axis.axhline(100 * _CHANCE, color=style.GREY, linewidth=0.8, linestyle=":", label="chance")


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
