"""The demo: S-CONV, S-LOCAL, 3-FC and S-FC by SGD, L1 and β-LASSO on scikit-learn's digits; one table, two pictures."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from lcfs import data, tracking
from lcfs.analysis import pictures
from lcfs.analysis.filter_images import filter_images
from lcfs.config import Architecture
from lcfs.runs import Run
from lcfs.terminal import print_table
from studies.engine.command import default_jobs
from studies.engine.findings import Rows, accuracy, mean_of
from studies.engine.records import Record, estimate
from studies.engine.runner import run_cells
from studies.engine.scales import DEMO, SGD, Scale
from studies.engine.selecting import by_row
from studies.engine.study import Cell

NETS: tuple[Architecture, ...] = ("s-conv", "s-local", "3-fc", "s-fc")
_SHOWN = ("S-FC, SGD", "S-FC, L1", "S-FC, β-LASSO", "S-LOCAL, SGD", "S-LOCAL, β-LASSO", "S-CONV, SGD")
_CODES = ("dense", "theorem2", "best")
_HEADER = (
    *("net", "method", "n", "test accuracy %", "non-zeros per layer", "weights"),
    *("kbit, dense", "kbit, Theorem 2", "kbit, shortest code", "least bound on the error %"),
)


def cells(scale: Scale) -> list[Cell]:
    """Every net by every method; a row is `NET, method`."""
    methods = {"SGD": SGD, "L1": scale.beta_lasso(0.0), "β-LASSO": scale.beta_lasso()}
    return [
        Cell(f"{net.upper()}, {method}", scale.config(net, optimizer, seed))
        for net in NETS
        for method, optimizer in methods.items()
        for seed in scale.seeds
    ]


def run(folder: Path, seeds: int, epochs: int, jobs: int = 0) -> int:
    """Train what is not finished of all cells, print the table, draw the pictures.

    Args:
        folder: for pictures; the run directories go into its folder runs, where those of an earlier demo go on.
        seeds: runs of each cell.
        epochs: of each run.
        jobs: runs at once; 0 for one a core.

    Returns:
        0 if every run has finished, else 1.
    """
    started, runs = time.monotonic(), folder / "runs"
    grid = cells(replace(DEMO, seeds=tuple(range(seeds)), epochs=epochs))
    results = run_cells(grid, runs, jobs=jobs or default_jobs(), on_done=_show)
    rows = {row: records for row, records in by_row(grid, results.values()).items() if records}
    if rows:
        _print_table(rows)
        for line in _draw(rows, folder):
            print(line)
    if tracking.available():
        uri = tracking.default_uri(runs)
        refused = next((sent.error for sent in tracking.sync(runs, uri) if sent.error), None)
        if refused:
            print(f"MLflow did not take everything ({refused}); lcfs sync {runs} sends it later")
        else:
            print(f"compare the {len(results)} runs in MLflow: lcfs ui {runs}")
    else:
        print("MLflow is not installed; pip install 'lcfs[mlflow]' and lcfs sync to compare the runs in it")
    unfinished = [record for record in results.values() if record.status != "finished"]
    for record in unfinished:
        print(f"{record.name} {record.status}: {record.reason}")
    print(f"{time.monotonic() - started:.0f} s in all")
    return 1 if unfinished else 0


def _show(record: Record, done: int, of: int) -> None:
    print(f"{done}/{of} {record.name}", flush=True)


def _print_table(rows: Rows) -> None:
    first = next(iter(rows.values()))[0]
    title = f"digits: {first.samples:,} training images, mean ± standard error over n seeds; bounds at δ = 0.05"
    print_table(_HEADER, [(*name.split(", "), *_numbers(runs)) for name, runs in rows.items()], title)


def _numbers(runs: Sequence[Record]) -> tuple[str, ...]:
    """The columns of `_HEADER` behind the method."""
    layers = [name for name in runs[0].metrics if name.startswith("final/nonzeros/")]
    bound = estimate(100 * least_bound(run) for run in runs).mean
    chance = 100 * (1 - 1 / data.facts(runs[0].config["data"]).classes)
    return (
        str(len(runs)),
        f"{accuracy(runs):.2f}",
        " / ".join(f"{mean_of(runs, layer).mean:,.0f}" for layer in layers),
        f"{runs[0].metrics['final/weights']:,}",
        *(f"{mean_of(runs, f'bits/{code}').mean / 1000:,.0f}" for code in _CODES),
        f"{bound:.1f}" + (" vacuous" if bound >= chance else ""),
    )


def least_bound(run: Record) -> float:
    """The least of all bounds on the error of a net, in [0, 1]."""
    return min(value for name, value in run.metrics.items() if name.startswith("bound/"))


def _draw(rows: Rows, folder: Path) -> list[str]:
    """Filters of some nets and non-zeros of S-FC by epoch; one line for each picture."""
    banks = {name: filters_of(folder / "runs" / rows[name][0].name) for name in _SHOWN if name in rows}
    curves = {name: nonzeros(runs[0].epochs) for name, runs in rows.items() if name.startswith("S-FC")}
    return [
        f"first-layer filters: {pictures.filters(banks, folder / 'filters.png')}",
        f"non-zeros against epochs: {pictures.nonzeros(curves, folder / 'nonzeros.png')}",
    ]


def filters_of(path: Path) -> Tensor:
    """The first layer of a run, `[units, *grid]`, summed over channels."""
    run = Run.open(path)
    state = run.load_checkpoint()
    if state is None:
        raise RuntimeError(f"{path} ended without a checkpoint")
    return filter_images(state["model"], data.facts(run.config().data).image).sum(1)


def nonzeros(epochs: Mapping[str, Sequence[float]]) -> list[int]:
    """Weights that are not zero after each epoch, in all layers."""
    columns = [counts for name, counts in epochs.items() if name.startswith("sparsity/")]
    return [int(sum(counts)) for counts in zip(*columns, strict=True)]
