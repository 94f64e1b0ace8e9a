"""Figure 3: non-zeros of each layer of S-FC while β-LASSO trains it, as a share of the layer's weights.

Command: python -m paper_figures.figure3 [--folder FOLDER]. Reads the records of the study training_fully_connected,
S-FC at its largest β; the paper's values, for nets of α ≈ 230 (inferred from its reference lines) and
4,000 epochs, as faint marks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from paper_figures.tools import style
from paper_figures.tools.dots import LOOK
from paper_figures.tools.paper import digitised
from paper_figures.tools.selecting import SOURCES, Source, by_row
from studies.engine.records import Record
from studies.engine.scales import SCALES
from studies.grids import training_fully_connected

LAYERS = {"conv1": "layer 1", "fc1": "layer 2", "fc2": "layer 3"}
_PAPER_ALPHA = 230


def draw(folder: Path) -> None:
    """Write figure3.pdf, .png and .csv."""
    style.apply()
    figure, axes = plt.subplots(1, 3, figsize=(style.TEXT_WIDTH, 2.5), sharey=True)
    paper = digitised()["fig3_nnz"]["CIFAR-10"]
    ours = {source: by_row(training_fully_connected.cells, source) for source in SOURCES}
    rows = []
    for (layer, title), axis, key in zip(LAYERS.items(), axes, ("L1", "L2", "L3"), strict=True):
        for source, by_training in ours.items():
            if records := by_training[f"S-FC, β = {SCALES[source.scale].beta:g}"]:
                rows += _ours(axis, records, layer, source)
        marks = sorted((int(epoch), count / _weights(layer, _PAPER_ALPHA)) for epoch, count in paper[key].items())
        x, y = [epoch / marks[-1][0] for epoch, _ in marks], [share for _, share in marks]
        axis.plot(x, y, **style.PAPER, marker="D", label=f"paper, α ≈ {_PAPER_ALPHA}, 4000 epochs")
        axis.set(title=title, xlabel="part of the training", yscale="log")
        axis.grid(axis="y")
        rows += [{"source": "paper", "layer": title, "part": a, "share": b} for a, b in zip(x, y, strict=True)]
    axes[0].set(ylabel="share of weights not zero")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
    style.save(figure, "figure3", rows, folder)


def paper_density() -> float:
    """The paper's share of weights that are not zero at the end of the training, in percent."""
    ends = {key: counts[max(counts, key=int)] for key, counts in digitised()["fig3_nnz"]["CIFAR-10"].items()}
    return 100 * sum(ends.values()) / sum(_weights(layer, _PAPER_ALPHA) for layer in LAYERS)


def _ours(axis: Axes, records: Sequence[Record], layer: str, source: Source) -> list[dict[str, Any]]:
    """The mean over the runs in a band from the least to the greatest."""
    alpha = records[0].config["base_channels"]
    shares = np.array([record.epochs[f"sparsity/{layer}"] for record in records]) / _weights(layer, alpha)
    epochs = np.array(records[0].epochs["epoch"])
    passed = epochs / epochs[-1]
    _, color, dashes = LOOK[source]
    axis.fill_between(passed, shares.min(0), shares.max(0), color=color, alpha=0.25, linewidth=0)
    axis.plot(
        passed, shares.mean(0), dashes, color=color, label=f"ours, α = {alpha}, {epochs[-1]} epochs, n = {len(records)}"
    )
    return [
        {"source": f"ours, {record.name}", "layer": LAYERS[layer], "part": part, "share": share}
        for record, row in zip(records, shares, strict=True)
        for part, share in zip(passed, row, strict=True)
    ]


def _weights(layer: str, alpha: int) -> int:
    """Weights of a layer of S-FC on CIFAR-10."""
    return {"conv1": 256 * alpha * 3072, "fc1": 256 * alpha * 24 * alpha, "fc2": 24 * alpha * 10}[layer]


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
