"""Figure 3: non-zeros of each layer of S-FC while β-LASSO trains it, as a share of the layer's weights.

Command: python -m paper_figures.figure3 [--folder FOLDER]. Reads the S-FC records of studies/records; the paper's
values, for nets of α ≈ 230 (inferred from its reference lines) and 4,000 epochs, as faint marks.
"""

import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from paper_figures import style
from studies.records import Record, read

RECORDS = Path(__file__).parent.parent / "studies" / "records"
DIGITISED = Path(__file__).parent / "data" / "digitised.json"
LAYERS = {"conv1": "layer 1", "fc1": "layer 2", "fc2": "layer 3"}
_PAPER_ALPHA = 230


def wanted(record: Record) -> bool:
    """Finished runs of S-FC by β-LASSO with a threshold, on CIFAR-10."""
    config, optimizer = record.config, record.config["optimizer"]
    return (
        record.status == "finished"
        and (config["architecture"], config["data"], optimizer["name"]) == ("s-fc", "cifar10", "beta-lasso")
        and optimizer["beta"] > 1
        and not config["permute_pixels"]
    )


def draw(folder: Path) -> None:
    """Write figure3.pdf, .png and .csv."""
    style.apply()
    figure, axes = plt.subplots(1, 3, figsize=(style.TEXT_WIDTH, 2.3), sharey=True)
    paper = json.loads(DIGITISED.read_text())["fig3_nnz"]["CIFAR-10"]
    records = read(RECORDS / "laptop", wanted) or read(RECORDS / "cifar10", wanted)
    alpha = records[0].config["base_channels"]
    label = f"ours, α = {alpha}, n = {len(records)}"
    rows = []
    for (layer, title), axis, key in zip(LAYERS.items(), axes, ("L1", "L2", "L3"), strict=True):
        shares = np.array([record.epochs[f"sparsity/{layer}"] for record in records]) / _weights(layer, alpha)
        epochs = np.array(records[0].epochs["epoch"])
        passed = epochs / epochs[-1]
        axis.fill_between(passed, shares.min(0), shares.max(0), color=style.BLUE, alpha=0.25, linewidth=0)
        axis.plot(
            passed,
            shares.mean(0),
            color=style.BLUE,
            label=label,
        )
        marks = sorted((int(epoch), count / _weights(layer, _PAPER_ALPHA)) for epoch, count in paper[key].items())
        x, y = [epoch / marks[-1][0] for epoch, _ in marks], [share for _, share in marks]
        axis.plot(x, y, "D", color=style.GREY, fillstyle="none", markersize=4, alpha=0.7, label="paper, α ≈ 230")
        axis.set(title=title, xlabel="part of the training", yscale="log")
        axis.grid(axis="y")
        rows += [
            {"source": f"ours, {record.name}", "layer": title, "part": part, "share": share}
            for record, row in zip(records, shares, strict=True)
            for part, share in zip(passed, row, strict=True)
        ]
        rows += [{"source": "paper", "layer": title, "part": a, "share": b} for a, b in zip(x, y, strict=True)]
    axes[0].set(ylabel="share of weights not zero")
    axes[2].legend(fontsize=7, loc="lower left")
    style.save(figure, "figure3", rows, folder)


def _weights(layer: str, alpha: int) -> int:
    """Weights of a layer of S-FC on CIFAR-10."""
    return {"conv1": 256 * alpha * 3072, "fc1": 256 * alpha * 24 * alpha, "fc2": 24 * alpha * 10}[layer]


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
