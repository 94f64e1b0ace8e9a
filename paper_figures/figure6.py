"""Figure 6: accuracy against weights on three data sets, and the best net against the fewest weights that fit.

Right: the best test accuracy of a net at any size against the least size, of those tried, that reaches a fixed train
accuracy, filled for ours and hollow for the paper's; an arrow to the left where the smallest net tried reaches it.
Nets that never do are left out.
Command: python -m paper_figures.figure6 [--folder FOLDER]. Ours: as in Figure 2. The paper's train accuracies to reach,
60, 40 and 80 %, are inferred from its figure; ours are trained too briefly for that and have to reach 50 %.
"""

from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from paper_figures.tools import style
from paper_figures.tools.accuracy_curves import (
    DATA,
    LOOK,
    Curve,
    draw_curves,
    legend,
    our_curves,
    paper_curves,
    rows,
    weights_axis,
)
from paper_figures.tools.paper import digitised

_OURS = 50  # percent of the training images right, after a few epochs


def draw(folder: Path) -> None:
    """Write figure6.pdf, .png and .csv."""
    style.apply()
    figure, axes = plt.subplots(3, 3, figsize=(style.TEXT_WIDTH, 6.3), sharex=True, sharey="row")
    thresholds = dict(
        zip(DATA, (digitised()["fig6_train_threshold"][key] for key in ("C10", "C100", "SVHN")), strict=True)
    )
    table, ours = [], []
    for (data, name), (train, test, fewest) in zip(DATA.items(), axes, strict=True):
        measured, levels = our_curves(data), {"paper": thresholds[data], "ours": _OURS}
        curves = [*paper_curves(data), *measured]
        draw_curves(train, curves, "train")
        draw_curves(test, curves, "test")
        for curve in curves:
            _mark(fewest, curve, levels[curve.source])
        weights_axis(fewest)
        train.set_ylabel(f"{name}, accuracy %")
        note = f"train accuracy ≥ {thresholds[data]} %" + (f"; ours {_OURS} %" if measured else "")
        fewest.annotate(note, (0.97, 0.05), xycoords="axes fraction", ha="right", fontsize=7, color=style.GREY)
        table += [row | {"fits": row["train_accuracy"] >= levels[row["source"]]} for row in rows(curves)]
        ours += measured
    for column, (title, label) in enumerate(
        (("train", "weights"), ("test", "weights"), ("best test", "fewest weights"))
    ):
        axes[0, column].set_title(title)
        axes[-1, column].set_xlabel(label)
    legend(figure, ours)
    style.save(figure, "figure6", table, folder)


def fewest_weights(curve: Curve, train_accuracy: float) -> float | None:
    """The least size with at least this train accuracy, in percent; None if there is none."""
    return min((point.weights for point in curve.points if point.train >= train_accuracy), default=None)


def _mark(axis: Axes, curve: Curve, train_accuracy: float) -> None:
    x, y = fewest_weights(curve, train_accuracy), max(point.test for point in curve.points)
    if x is None:
        return
    color, marker, _ = LOOK[curve.net]
    look = {"color": color, "marker": marker, "linestyle": "none"}
    if curve.source == "paper":
        axis.plot(x, y, **look, markersize=5, fillstyle="none", alpha=0.7)
    else:
        axis.plot(x, y, **look, markersize=6)
    if len(curve.points) > 1 and x == curve.points[0].weights:
        arrow = {"arrowstyle": "->", "color": color, "alpha": 0.7, "linewidth": 0.9}
        axis.annotate("", (x, y), (-17, 0), textcoords="offset points", arrowprops=arrow | {"arrowstyle": "<-"})


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
