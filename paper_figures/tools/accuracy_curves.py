"""Accuracy against the number of weights, the lines of Figures 2 and 6: ours thick and marked, the paper's thin."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paper_figures.tools import style
from paper_figures.tools.paper import digitised
from paper_figures.tools.selecting import by_row
from studies.engine.findings import accuracy
from studies.grids import scaling

NETS = {"resnet18": "ResNet18", "d-conv": "D-CONV", "s-conv": "S-CONV", "3-fc": "3-FC"}
DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "svhn": "SVHN"}
LOOK: dict[str, tuple[str, str, Any]] = {  # colour, mark, dashes
    "resnet18": (style.BLUE, "o", "-"),
    "d-conv": (style.VERMILION, "s", (0, (5, 1.5))),
    "s-conv": (style.GREEN, "^", (0, (3, 1.2, 1, 1.2))),
    "3-fc": (style.BLACK, "D", (0, (1, 1.2))),
}
_PAPER_DATA = {"cifar10": "C10", "cifar100": "C100", "svhn": "SVHN"}


@dataclass(frozen=True)
class Point:
    """Nets of one size: train and test accuracy in percent, standard errors over n runs; n = 0 for the paper's."""

    weights: float
    train: float
    test: float
    train_error: float = float("nan")
    test_error: float = float("nan")
    n: int = 0
    epochs: int = 400


@dataclass(frozen=True)
class Curve:
    """One net on one data set by ascending weights."""

    net: str
    data: str
    source: Literal["paper", "ours"]
    points: tuple[Point, ...]


def paper_curves(data: str) -> list[Curve]:
    """The four nets as read off Figure 6."""
    values, sizes = digitised(), digitised()["params_M_grid"]
    curves = []
    for net, name in NETS.items():
        train, test = (values["fig6"][f"{split}/{_PAPER_DATA[data]}/{name}"] for split in ("train", "test"))
        points = [Point(1e6 * size, a, b) for size, a, b in zip(sizes, train, test, strict=True)]
        curves.append(Curve(net, data, "paper", tuple(points)))
    return curves


def our_curves(data: str) -> list[Curve]:
    """Each net of the study scaling that has runs on this data set."""
    points: dict[str, list[Point]] = {}
    for runs in by_row(scaling.cells).values():
        if runs and runs[0].config["data"] == data:
            train, test = accuracy(runs, "train"), accuracy(runs)
            weights, epochs = runs[0].metrics["final/weights"], runs[0].config["epochs"]
            errors = train.standard_error, test.standard_error
            point = Point(weights, train.mean, test.mean, *errors, test.n, epochs)
            points.setdefault(runs[0].config["architecture"], []).append(point)
    return [Curve(net, data, "ours", tuple(sorted(of, key=lambda p: p.weights))) for net, of in points.items()]


def draw_curves(axis: Axes, curves: Sequence[Curve], split: str) -> None:
    """All lines of one panel, "train" or "test", over a logarithmic axis of weights."""
    for curve in curves:
        color, marker, dashes = LOOK[curve.net]
        x, y = [p.weights for p in curve.points], [getattr(p, split) for p in curve.points]
        if curve.source == "paper":
            axis.plot(x, y, linestyle=dashes, color=color, linewidth=0.9, alpha=0.55)
        else:
            errors = [getattr(p, f"{split}_error") for p in curve.points]
            axis.errorbar(x, y, errors, linestyle=dashes, color=color, marker=marker, markersize=4, linewidth=1.6)
    weights_axis(axis)


def weights_axis(axis: Axes) -> None:
    """Thousands, millions and a milliard, as ticks."""
    axis.set_xscale("log")
    axis.set_xlim(8e2, 2e9)
    labels = {3: "1 k", 6: "1 M", 9: "1 G"}
    axis.set_xticks([10**k for k in range(3, 10)], labels=[labels.get(k, "") for k in range(3, 10)])
    axis.set_xticks([], minor=True)
    axis.grid(axis="both")
    axis.set_axisbelow(True)


def legend(figure: Figure, ours: Sequence[Curve]) -> None:
    """Nets by their marks and dashes, and what is thick and what thin, below the panels."""
    handles = [
        Line2D([], [], color=c, marker=m, linestyle=d, markersize=4, label=NETS[net]) for net, (c, m, d) in LOOK.items()
    ]
    epochs = sorted({point.epochs for curve in ours for point in curve.points})
    if ours:
        trained = f"{epochs[0]} epochs" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]} epochs"
        handles.append(
            Line2D([], [], color=style.GREY, marker="o", markersize=4, linewidth=1.6, label=f"ours, {trained}")
        )
    handles.append(Line2D([], [], color=style.GREY, linewidth=0.9, alpha=0.6, label="paper, 400 epochs"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=7, handlelength=2.6, columnspacing=1.2)


def rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """One flat row for each point."""
    return [
        {
            "net": curve.net,
            "data": curve.data,
            "source": curve.source,
            "epochs": p.epochs,
            "weights": p.weights,
            "n": p.n or "",
            "train_accuracy": p.train,
            "train_standard_error": p.train_error if p.n else "",
            "test_accuracy": p.test,
            "test_standard_error": p.test_error if p.n else "",
        }
        for curve in curves
        for p in curve.points
    ]
