"""A dot plot of nets: one line a net, the paper's values as faint marks, ours with bars of one standard error."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes

from paper_figures import style
from studies.records import Estimate, Record

SCALES_SHOWN = ("laptop", "paper")
_MARKS = {"laptop": ("o", style.BLUE), "paper": ("s", style.VERMILION)}


def draw_paper(axis: Axes, values: Iterable[float], marker: str, label: str) -> None:
    """One mark a line, from above; nan for none."""
    found = list(values)
    axis.plot(found, range(len(found)), marker=marker, label=label, **style.PAPER)


def draw_ours(
    axis: Axes, runs: Sequence[Sequence[Record]], measure: Callable[[Sequence[Record]], Estimate], scale: str
) -> None:
    """The mean of each line that has runs."""
    marker, color = _MARKS[scale]
    found = [(line, measure(of)) for line, of in enumerate(runs) if of]
    if not found:
        return
    lines, estimates = zip(*found, strict=True)
    numbers = sorted({e.n for e in estimates})
    seeds = f"n = {numbers[0]}" if len(numbers) == 1 else f"n = {numbers[0]} to {numbers[-1]}"
    axis.errorbar(
        [e.mean for e in estimates],
        lines,
        xerr=[e.standard_error for e in estimates],
        fmt=marker,
        color=color,
        markersize=5,
        capsize=2,
        elinewidth=1,
        label=f"ours, {scale} size, {seeds}, ± standard error",
    )
    for line, value in found:
        axis.annotate(
            f"{value.mean:.3g}",
            (value.mean, line),
            (0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=6.5,
            color=color,
        )


def finish(axis: Axes, lines: Sequence[str], label: str) -> None:
    """Names of the lines, a grid, the first line on top."""
    axis.set(yticks=range(len(lines)), yticklabels=lines, xlabel=label, ylim=(len(lines) - 0.5, -0.7))
    axis.grid(axis="both")
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)


def row(line: str, source: str, value: float | Estimate, record: Record | None = None) -> dict[str, Any]:
    """The numbers of one mark; `record` is one of the runs behind it."""
    ours = isinstance(value, Estimate)
    config = record.config if record else {}
    return {
        "net": line,
        "source": source,
        "mean": value.mean if ours else value,
        "standard_error": value.standard_error if ours else "",
        "n": value.n if ours else "",
        "base_channels": config.get("base_channels", ""),
        "epochs": config.get("epochs", ""),
        "weights": record.metrics["final/weights"] if record else "",
    }
