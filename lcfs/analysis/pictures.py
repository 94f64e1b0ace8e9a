"""Quick pictures of runs: first-layer filters, the convolution they are nearest to, and non-zeros against epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from torch import Tensor

from lcfs.analysis.first_layer import FirstLayer
from lcfs.analysis.geometry import InputMap

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import SubFigure

_COLUMNS = 12
_NUMBERED = 100  # inputs whose numbers still fit a map
_STYLES = ("-", "--", ":", "-.")


def filters(banks: Mapping[str, Tensor], path: Path, *, per_bank: int = 2 * _COLUMNS) -> Path:
    """The filters with the largest norms of each bank `[units, *grid]`, each scaled to its own maximum; red is
    positive, blue negative, white zero, and signals are curves. Writes a PNG and returns its path."""
    rows = -(-per_bank // _COLUMNS)
    figure = plt.figure(figsize=(_COLUMNS * 0.55, len(banks) * (rows * 0.55 + 0.4)), layout="constrained")
    for part, (name, bank) in zip(figure.subfigures(len(banks), 1, squeeze=False)[:, 0], banks.items(), strict=True):
        _draw_bank(part, name, bank.numpy(), rows)
    return _save(figure, path)


def first_layer(layer: FirstLayer, path: Path) -> Path:
    """The filters with the largest norms, and for an FC layer the templates of the nearest convolution that most units
    hold, and how much of each unit it explains. Writes a PNG and returns its path."""
    match, permuted = layer.match, layer.permuted
    figure = plt.figure(figsize=(_COLUMNS * 0.55, 1.5 if match is None else 5.2), layout="constrained")
    parts = figure.subfigures(
        1 if match is None else 3, 1, squeeze=False, height_ratios=None if match is None else (3, 1.7, 4)
    )
    _draw_bank(parts[0, 0], f"filters of {layer.name}, summed over channels", layer.filters.sum(1), 2)
    if match is not None and permuted is not None:
        used = np.bincount(match.channel[match.channel >= 0], minlength=len(match.templates))
        order = np.argsort(-used, kind="stable")[:_COLUMNS]
        _draw_bank(parts[1, 0], "templates of the nearest convolution", match.templates[order].sum(1), 1)
        axis = parts[2, 0].subplots()
        for name, found, style in (("as trained", match, "-"), ("pixels permuted", permuted, "--")):
            share = np.sort(found.explained[~np.isnan(found.explained)])[::-1]
            axis.plot(np.arange(1, len(share) + 1) / len(share), share, style, label=name)
        axis.set(xlabel="share of the units", ylabel="explained of a unit at least", ylim=(0, 1.02), xlim=(0, 1))
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    return _save(figure, path)


def input_map(places: InputMap, path: Path, *, permutation: Tensor | None = None, names: Sequence[str] = ()) -> Path:
    """Every input where the net's masks put it, coloured by its true place in row-major order, with its name if it has
    one. Writes a PNG and returns its path."""
    figure, axis = plt.subplots(figsize=(5, 5), layout="constrained")
    count = len(places.coordinates)
    truth = np.arange(count) if permutation is None else permutation.numpy()
    axis.scatter(*places.coordinates.T, c=truth, cmap="twilight", s=30)
    for at, place in zip(places.coordinates, map(int, truth), strict=True):
        if not np.isnan(at).any() and (names or count <= _NUMBERED):
            label = names[place] if names else str(place)
            axis.annotate(label, at, fontsize=7, xytext=(3, 3), textcoords="offset points")
    axis.set(xticks=[], yticks=[], aspect="equal", title=f"{places.kept:.0%} of the true neighbours kept")
    axis.spines[:].set_visible(False)
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


def _draw_bank(part: SubFigure, title: str, bank: np.ndarray, rows: int) -> None:
    """The `[units, *grid]` of largest norm in `rows` rows, each scaled to its own maximum; signals as curves."""
    bank = bank[:, 0] if bank.ndim == 3 and bank.shape[1] == 1 else bank  # an image of one row is a signal
    part.suptitle(title, fontsize=9, x=0.01, ha="left")
    order = np.argsort(-np.linalg.norm(bank.reshape(len(bank), -1), axis=1), kind="stable")[: rows * _COLUMNS]
    for i, axis in enumerate(part.subplots(rows, _COLUMNS).flat):
        axis.set_axis_off()
        if i < len(order):
            limit = float(np.abs(bank[order[i]]).max()) or 1.0
            if bank.ndim == 2:
                axis.axhline(0, color="0.8", linewidth=0.5)
                axis.plot(bank[order[i]], color="#0072B2", linewidth=0.9)
                axis.set_ylim(-1.1 * limit, 1.1 * limit)
            else:
                axis.imshow(bank[order[i]], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")


def _save(figure: plt.Figure, path: Path) -> Path:
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path
