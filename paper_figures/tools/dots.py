"""A dot plot of nets: one line a net, the paper's values as faint marks, ours with bars of one standard error."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes

from paper_figures.tools import style
from paper_figures.tools.selecting import SOURCES, Source
from studies.engine.records import Estimate, Record

LOOK = dict(zip(SOURCES, (("o", style.BLUE, "-"), ("s", style.VERMILION, "--"), ("P", style.GREEN, "-.")), strict=True))


def draw_paper(axis: Axes, values: Iterable[float], marker: str, label: str) -> None:
    """One mark a line, from above; nan for none."""
    marks = list(values)
    axis.plot(marks, range(len(marks)), marker=marker, label=label, **style.PAPER)


def draw_ours(
    axis: Axes, runs: Sequence[Sequence[Record]], measure: Callable[[Sequence[Record]], Estimate], source: Source
) -> None:
    """The mean of each line that has runs."""
    marker, color, _ = LOOK[source]
    measured = [(line, measure(of)) for line, of in enumerate(runs) if of]
    if not measured:
        return
    lines, estimates = zip(*measured, strict=True)
    least, most = min(e.n for e in estimates), max(e.n for e in estimates)
    seeds = f"n = {least}{f' to {most}' if most > least else ''}{' ± standard error' if most > 1 else ''}"
    axis.errorbar(
        [e.mean for e in estimates],
        lines,
        xerr=[e.standard_error for e in estimates],
        fmt=marker,
        color=color,
        markersize=5,
        capsize=2,
        elinewidth=1,
        label=f"ours, {source.label}, {seeds}",
    )
    for line, value in measured:
        axis.annotate(
            f"{value.mean:.1f}" if value.mean >= 10 else f"{value.mean:.2f}",
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
