"""What linear convolutional networks of two and of three filters of size 2 can be, and where gradient flow takes them.

a  (2, 2): quadratics c₀ + c₁x + c₂x² with real roots, the outside of a cone. The target 1 + x² lies inside;
   its two minima are equally good.
b  (2, 2, 2): cubics with three real roots (shaded), in the plane through the target 2 − 3x − x² − 2x³ and both minima
   of the loss; circles are lines of equal loss. Paths leave the plane and are projected onto it. One minimum lies
   where two filters share a root, the other on the cusp, where all three do.
c  (2, 2): the number of real critical points by target, in the plane c₀ + c₂ = 1 across the cone.

Dots are random starts, with seeds chosen so that both minima are reached. Nothing is measured: it is all theory.
Command: python -m paper_figures.lcn_function_space [--folder FOLDER]; about 15 seconds on one core.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from paper_figures.tools import style
from theory.lcn import Training, compose, critical_points, gradient_flow, real_count

CONE_TARGET = (1, 0, 1)
CUBIC_TARGET = (2, -3, -1, -2)
ENDS = ((style.BLUE, "-", "o"), (style.VERMILION, (0, (3.5, 1.2)), "s"))  # by the minimum in which a path ends
Row = dict[str, Any]
_TIMES = np.concatenate([[0], np.geomspace(0.01, 40, 120)])
_SEEDS = {2: (1, 2, 3, 4, 5, 7, 9, 11), 3: (2, 14, 22, 23, 45, 48, 60, 62, 76)}  # by the number of filters
_SCALE = {2: 0.8, 3: 0.9}  # of the filters at the start
_LABELS = ((0.0, 0.0), (0.0, 0.62), (0.0, 1.25))  # (c₀ − c₂, c₁): one target in each region of panel c


@dataclass(frozen=True)
class Flow:
    """P along one gradient flow, [times, k], and the number of the minimum in which it ends."""

    coefficients: np.ndarray
    end: int


def distinct_points(target: Sequence[int], filter_sizes: Sequence[int], stability: str) -> np.ndarray:
    """The distinct P of the critical points of this stability, by ascending loss, [n, k]."""
    found = [p.coefficients for p in critical_points(target, filter_sizes) if p.stability == stability]
    return np.array(list({tuple(np.round(p, 9)): p for p in found}.values()))


def flows(target: Sequence[int], filter_sizes: Sequence[int], minima: np.ndarray) -> list[Flow]:
    """One for each seed."""
    found: list[Flow] = []
    for seed in _SEEDS[len(filter_sizes)]:
        rng = np.random.default_rng(seed)
        start = [_SCALE[len(filter_sizes)] * rng.normal(size=k) for k in filter_sizes]
        states = gradient_flow(start, Training(target), _TIMES, tolerance=1e-8)
        p = np.array([compose([w.tolist() for w in state]) for state in states])
        found.append(Flow(p, int(np.abs(minima - p[-1]).max(axis=1).argmin())))
    return found


def in_cone_coordinates(p: np.ndarray) -> np.ndarray:
    """(c₀ − c₂, c₁, c₀ + c₂), [n, 3]: the discriminant c₁² − 4c₀c₂ is x² + y² − z²."""
    return np.stack([p[:, 0] - p[:, 2], p[:, 1], p[:, 0] + p[:, 2]], axis=-1)


def draw_cone(axes: Any) -> list[Row]:
    """Panel a."""
    minima, saddles = (distinct_points(CONE_TARGET, (2, 2), kind) for kind in ("minimum", "saddle"))
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi, 120), np.linspace(0, 2.3, 30))
    axes.plot_surface(
        height * np.cos(angle), height * np.sin(angle), height, color=style.GREY, alpha=0.13, linewidth=0, shade=False
    )
    around = np.linspace(0, 2 * np.pi, 200)
    for level in (1.0, 2.3):
        axes.plot(level * np.cos(around), level * np.sin(around), level, color=style.GREY, lw=0.5)
    found = flows(CONE_TARGET, (2, 2), minima)
    for flow in found:
        _draw(axes, in_cone_coordinates(flow.coefficients), flow.end)
    _mark(axes, *(in_cone_coordinates(np.atleast_2d(p)) for p in (CONE_TARGET, minima, saddles)))
    axes.set(xlim=(-2, 2), ylim=(-2, 2), zlim=(-1, 2.4), xticks=[-2, 0, 2], yticks=[0, 2], zticks=[0, 2])
    axes.set_xlabel("$c_0-c_2$", labelpad=-6)
    axes.set_ylabel("$c_1$", labelpad=-6)
    axes.text2D(1.0, 0.86, "$c_0+c_2$", transform=axes.transAxes, ha="right")
    axes.tick_params(pad=-3)
    axes.view_init(elev=16, azim=-66)
    axes.set_box_aspect((1, 1, 0.85), zoom=1.0)
    return list(_table("a", found))


def draw_plane(axes: Axes) -> list[Row]:
    """Panel b, in orthonormal coordinates with the target at 0 and the best function straight below it."""
    minima, target = distinct_points(CUBIC_TARGET, (2, 2, 2), "minimum"), np.array(CUBIC_TARGET, dtype=float)
    up = (target - minima[0]) / np.linalg.norm(target - minima[0])
    right = minima[1] - minima[0] - up * (up @ (minima[1] - minima[0]))
    basis = np.array([right / np.linalg.norm(right), up])
    y, x = np.mgrid[-3.6:0.7:601j, -1.6:4.6:601j]
    a, b, c, d = np.moveaxis(target + x[..., None] * basis[0] + y[..., None] * basis[1], -1, 0)
    discriminant = 18 * a * b * c * d - 4 * b**3 * d + b**2 * c**2 - 4 * a * c**3 - 27 * a**2 * d**2
    axes.contourf(x, y, discriminant, levels=[0, np.abs(discriminant).max()], colors=[style.LIGHT])
    axes.contour(x, y, discriminant, levels=[0], colors=[style.GREY], linewidths=0.8)
    flat = (minima - target) @ basis.T
    axes.contour(x, y, x**2 + y**2, levels=(flat**2).sum(axis=1), colors=[style.GREY], linewidths=0.6, linestyles=":")
    found = flows(CUBIC_TARGET, (2, 2, 2), minima)
    for flow in found:
        _draw(axes, (flow.coefficients - target) @ basis.T, flow.end)
    _mark(axes, np.zeros((1, 2)), flat, np.full((1, 2), np.nan))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2, columnspacing=1, handletextpad=0.2, fontsize=7)
    axes.annotate("two filters\nshare a root", flat[0], (-14, 17), textcoords="offset points", ha="center", fontsize=7)
    axes.annotate("all three\nshare one", flat[1], (7, -7), textcoords="offset points", va="top", fontsize=7)
    axes.set(xticks=[], yticks=[], aspect="equal", xlim=(-1.6, 4.6), ylim=(-3.6, 0.7))
    axes.spines[:].set_visible(False)
    return list(_table("b", found))


def counts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The number of real critical points of (2, 2) for generic targets with c₀ − c₂ = x, c₁ = y, c₀ + c₂ = 1.

    Critical squares (a + bx)² are the roots of −u₁a⁴ + (2u₀ − u₂)a³b + (u₀ − 2u₂)ab³ + u₁b⁴. Their product is −1, so
    two or four are real, by the sign of the discriminant; outside the cone there are two factorizations of u besides.
    """
    a, b, d = -y, (1 + 3 * x) / 2, (3 * x - 1) / 2
    i, j = -12 * a**2 - 3 * b * d, -27 * a * d**2 + 27 * a * b**2  # the quartic's invariants, with c = 0 and e = −a
    return 2 + 2 * (4 * i**3 - j**2 > 0) + 2 * (x**2 + y**2 > 1)


def draw_counts(axes: Axes) -> list[Row]:
    """Panel c."""
    y, x = np.mgrid[-1.5:1.5:801j, -1.5:1.5:801j]
    found = counts(x, y)
    axes.contourf(x, y, found, levels=[1, 3, 5], cmap=ListedColormap(["white", style.SKY]), alpha=0.55)
    axes.contour(x, y, found, levels=[3], colors=[style.BLACK], linewidths=0.9)
    for across, up in _LABELS:
        number = real_count(((1 + across) / 2, up, (1 - across) / 2), (2, 2))
        place = (0.42, 0.2) if (across, up) == (0, 0) else (across, up)
        axes.annotate(str(number), (across, up), place, ha="center", va="center", fontsize=10, fontweight="bold")
    axes.plot(0, 0, "*", color=style.BLACK, ms=8, mec="white", mew=0.5)
    axes.annotate("real roots", (0, -1.25), ha="center", va="center", fontsize=7)
    axes.annotate("complex roots", (0, -0.5), ha="center", va="center", fontsize=7)
    axes.set(aspect="equal", xlabel="$c_0-c_2$", ylabel="$c_1$", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    coarse = np.linspace(-1.5, 1.5, 21) + 0.01  # off the lines of symmetry, where critical points coincide
    return [_row("c", ((1 + u) / 2, v, (1 - u) / 2), critical_points=int(counts(u, v))) for u in coarse for v in coarse]


def _draw(axes: Any, path: np.ndarray, end: int) -> None:
    color, dash, _ = ENDS[end]
    axes.plot(*path.T, color=color, ls=dash, lw=1.0)
    axes.plot(*path[:1].T, ".", color=color, ms=3.5)


def _mark(axes: Any, target: np.ndarray, minima: np.ndarray, saddles: np.ndarray) -> None:
    above = {"ls": "", "mec": "white", "mew": 0.7, "zorder": 10}
    axes.plot(*target.T, "*", color=style.BLACK, ms=11, label="target", **above)
    for minimum, (color, _, mark), name in zip(minima, ENDS, ("best minimum", "other minimum"), strict=True):
        axes.plot(*minimum[:, None], mark, color=color, ms=7, label=name, **above)
    axes.plot(*saddles.T, "D", color="white", ms=4.5, mec=style.BLACK, mew=0.9, zorder=9, label="saddle")


def _table(panel: str, found: Sequence[Flow]) -> Iterator[Row]:
    for number, flow in enumerate(found):
        for time, p in zip(_TIMES, flow.coefficients, strict=True):
            yield _row(panel, p, path=number, end=flow.end, time=f"{time:.4g}")


def _row(panel: str, p: Sequence[float] | np.ndarray, **values: Any) -> Row:
    keys = ("path", "end", "time", "c0", "c1", "c2", "c3", "critical_points")
    return {"panel": panel} | dict.fromkeys(keys, "") | values | {f"c{i}": f"{c:.5g}" for i, c in enumerate(p)}


def draw(folder: Path) -> None:
    """Write lcn_function_space.pdf, .png and .csv."""
    style.apply()
    figure = plt.figure(figsize=(style.TEXT_WIDTH, 2.5))
    grid = figure.add_gridspec(1, 3, width_ratios=(1.1, 1.2, 1.0))
    panels = (
        ("a  Two filters of size 2", draw_cone, {"projection": "3d"}),
        ("b  Three filters of size 2", draw_plane, {}),
        ("c  Real critical points", draw_counts, {}),
    )
    rows: list[Row] = []
    for column, (title, draw_panel, options) in enumerate(panels):
        part = figure.add_subfigure(grid[column])
        rows += draw_panel(part.add_subplot(**options))
        part.suptitle(title, x=0.03, ha="left", fontsize=9, fontweight="bold")
    style.save(figure, "lcn_function_space", rows, folder)


if __name__ == "__main__":
    style.draw_from_command_line(draw, __doc__)
