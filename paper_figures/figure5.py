"""Figure 5: test accuracy of ResNet18 against the side of its kernels, by β-LASSO and by SGD.

Command: python -m paper_figures.figure5 [--folder FOLDER]. Ours: records of the study kernel_sizes, mean ± standard
error; the paper's as thin lines.
"""

from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from paper_figures.tools import style
from paper_figures.tools.accuracy_curves import DATA
from paper_figures.tools.paper import digitised
from paper_figures.tools.selecting import by_row
from studies.engine.findings import accuracy
from studies.engine.records import Record
from studies.grids import kernel_sizes

_LOOK: dict[str, tuple[str, str, str, Any]] = {
    "beta-lasso": ("β-LASSO", style.VERMILION, "s", "-"),
    "sgd": ("SGD", style.BLUE, "o", (0, (3, 1.2))),
}


def draw(folder: Path) -> None:
    """Write figure5.pdf, .png and .csv."""
    style.apply()
    figure, axes = plt.subplots(1, 3, figsize=(style.TEXT_WIDTH, 2.7))
    rows, kernels = [], digitised()["fig5_kernel_sizes"]
    for (data, name), axis in zip(DATA.items(), axes, strict=True):
        for optimizer, (label, color, _, dashes) in _LOOK.items():
            values = digitised()["fig5"][name][optimizer.replace("-", "_")]
            axis.plot(
                kernels, values, linestyle=dashes, color=color, linewidth=0.9, alpha=0.55, label=f"{label}, paper"
            )
            rows += [_row(data, optimizer, "paper", k, mean=v) for k, v in zip(kernels, values, strict=True)]
        rows += [row for optimizer in _LOOK for row in _ours(axis, data, optimizer)]
        axis.set(title=name, xlabel="side of the kernels", xticks=kernels)
        axis.grid(axis="y")
    axes[0].set_ylabel("test accuracy, %")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7, handlelength=2.6
    )
    style.save(figure, "figure5", rows, folder)


def _ours(axis: Axes, data: str, optimizer: str) -> list[dict[str, Any]]:
    """The runs of the study kernel_sizes on this data set."""
    runs = [runs for runs in by_row(kernel_sizes.cells).values() if runs]
    groups = {of[0].config["kernel_size"]: of for of in runs if _is(of[0], data, optimizer)}
    if not groups:
        return []
    label, color, marker, dashes = _LOOK[optimizer]
    accuracies = {kernel: accuracy(runs) for kernel, runs in groups.items()}
    axis.errorbar(
        list(accuracies),
        [value.mean for value in accuracies.values()],
        [value.standard_error for value in accuracies.values()],
        linestyle=dashes,
        color=color,
        marker=marker,
        markersize=4,
        linewidth=1.6,
        label=f"{label}, ours",
    )
    configs = {kernel: runs[0].config for kernel, runs in groups.items()}
    return [
        _row(
            data,
            optimizer,
            "ours",
            kernel,
            mean=value.mean,
            standard_error=value.standard_error,
            n=value.n,
            base_channels=configs[kernel]["base_channels"],
            epochs=configs[kernel]["epochs"],
        )
        for kernel, value in accuracies.items()
    ]


def _is(record: Record, data: str, optimizer: str) -> bool:
    return (record.config["data"], record.config["optimizer"]["name"]) == (data, optimizer)


def _row(data: str, optimizer: str, source: str, kernel_size: int, **values: float) -> dict[str, Any]:
    keys = ("mean", "standard_error", "n", "base_channels", "epochs")
    named = {"data": data, "optimizer": optimizer, "source": source, "kernel_size": kernel_size}
    return named | dict.fromkeys(keys, "") | values


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
