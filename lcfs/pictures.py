"""Two quick pictures of runs: first-layer filters, and non-zeros against epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from torch import Tensor

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_COLUMNS = 12
_STYLES = ("-", "--", ":", "-.")


def filters(banks: Mapping[str, Tensor], path: Path, *, per_bank: int = 2 * _COLUMNS) -> Path:
    """The filters with the largest norms of each bank `[units, height, width]`, each scaled to its own maximum; red is
    positive, blue negative, white zero. Writes a PNG and returns its path."""
    rows = -(-per_bank // _COLUMNS)
    figure = plt.figure(figsize=(_COLUMNS * 0.55, len(banks) * (rows * 0.55 + 0.4)), layout="constrained")
    for part, (name, bank) in zip(figure.subfigures(len(banks), 1, squeeze=False)[:, 0], banks.items(), strict=True):
        part.suptitle(name, fontsize=9, x=0.01, ha="left")
        order = bank.flatten(1).norm(dim=1).argsort(descending=True)[:per_bank]
        for i, axis in enumerate(part.subplots(rows, _COLUMNS).flat):
            axis.set_axis_off()
            if i < len(order):
                image = bank[order[i]]
                limit = float(image.abs().max()) or 1.0
                axis.imshow(image.numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    return _save(figure, path)


def nonzeros(curves: Mapping[str, Sequence[int]], path: Path) -> Path:
    """Non-zero weights after each epoch, one line a run, on a logarithmic scale. Writes a PNG and returns its path."""
    figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for i, (name, counts) in enumerate(curves.items()):
        axis.plot(range(1, len(counts) + 1), counts, _STYLES[i % len(_STYLES)], label=name)
    axis.set(xlabel="epoch", ylabel="non-zero weights", yscale="log")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> Path:
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path
