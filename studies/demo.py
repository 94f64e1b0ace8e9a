"""The demo: twelve cells on scikit-learn's digits, one table, two pictures."""

import shutil
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lcfs import tracking
from lcfs.analysis import pictures
from lcfs.config import Architecture, AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.runs import Run
from lcfs.terminal import print_table
from lcfs.training.evaluation import Result
from lcfs.training.loop import train

_NETS: dict[Architecture, int] = {"s-conv": 8, "s-local": 8, "3-fc": 128, "s-fc": 8}
# A few hundred steps instead of the paper's 400,000: λ is larger and β smaller, so that the total shrinkage and the
# threshold βλ meet the weights at the same scale as in the paper.
_OPTIMIZERS = {
    "SGD": OptimizerConfig("sgd", momentum=0.9, weight_decay=5e-4),
    "L1": OptimizerConfig("beta-lasso", l1_conv=4e-3, l1_fc=2e-3, beta=0.0),
    "β-LASSO": OptimizerConfig("beta-lasso", l1_conv=4e-3, l1_fc=2e-3, beta=10.0),
}


@dataclass(frozen=True)
class _Cell:
    net: str
    method: str
    results: tuple[Result, ...]
    paths: tuple[Path, ...]


def run(folder: Path, seeds: int, epochs: int) -> int:
    """Train all cells into `folder`, print the table, draw the pictures; returns the exit code."""
    started = time.monotonic()
    torch.set_num_threads(1)  # nets this small gain nothing from threads, and lose much where others compute too
    runs = folder / "runs"
    if runs.exists():  # the demo's own, made anew each time
        shutil.rmtree(runs)
    uri = tracking.default_uri(runs)
    runs.mkdir(parents=True)
    cells = []
    for net, width in _NETS.items():
        for method, optimizer in _OPTIMIZERS.items():
            config = TrainConfig(
                net,
                base_channels=width,
                epochs=epochs,
                batch_size=128,
                checkpoint_seconds=3600,
                optimizer=optimizer,
                augment=AugmentConfig(crop=1, flip=False),
            )
            cells.append(_train_cell(net, method, config, runs, seeds))
            print(f"{net:<8} {method:<8} {seeds} runs done, {time.monotonic() - started:.0f} s", flush=True)
    _print_table(cells)
    for line in _draw(cells, folder):
        print(line)
    if tracking.available():
        tracking.prepare(uri)
        tracking.sync(runs, uri)
        print(f"compare the {len(cells) * seeds} runs in MLflow: lcfs ui {runs}")
    else:
        print("MLflow is not installed; pip install 'lcfs[mlflow]' and lcfs sync to compare the runs in it")
    print(f"{time.monotonic() - started:.0f} s in all")
    return 0


def _train_cell(net: str, method: str, config: TrainConfig, runs: Path, seeds: int) -> _Cell:
    paths = tuple(runs / f"{net}-{method.replace('β', 'beta').lower()}-s{seed}" for seed in range(seeds))
    results = tuple(train(replace(config, seed=seed), path) for seed, path in enumerate(paths))
    return _Cell(net, method, results, paths)


def _print_table(cells: list[_Cell]) -> None:
    rows = []
    for cell in cells:
        first = cell.results[0]
        reports = [result.report for result in cell.results]
        bits = [
            statistics.mean(language.bits for language in column) / 1000
            for column in zip(*(r.languages for r in reports), strict=True)
        ]
        best = statistics.mean(min(bound.value for bound in report.bounds) for report in reports)
        vacuous = all(bound.vacuous for report in reports for bound in report.bounds)
        rows.append(
            (
                cell.net,
                cell.method,
                _with_error([100 * result.test_accuracy for result in cell.results]),
                " / ".join(
                    f"{statistics.mean(r.nonzeros[layer] for r in cell.results):,.0f}" for layer in first.nonzeros
                ),
                f"{sum(first.weights.values()):,}",
                " / ".join(f"{kbit:,.0f}" for kbit in bits),
                f"{best:.3f}" + (" vacuous" if vacuous else ""),
            )
        )
    header = ("net", "method", "test accuracy %", "non-zeros per layer", "weights", "kbit", "least bound")
    title = (
        f"digits: {cells[0].results[0].report.samples:,} training images, {len(cells[0].results)} seeds, "
        "mean ± standard error;\nkbit: dense / Theorem 2's code; least bound on the test error at δ = 0.05"
    )
    print_table(header, rows, title)


def _with_error(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values) / len(values) ** 0.5:.2f}"


def _draw(cells: list[_Cell], folder: Path) -> list[str]:
    shown = {f"{cell.net}, {cell.method}": cell for cell in cells}
    filters = {
        name: _first_layer(shown[name].paths[0])
        for name in ("s-fc, SGD", "s-fc, L1", "s-fc, β-LASSO", "s-local, SGD", "s-local, β-LASSO", "s-conv, SGD")
    }
    curves = {
        name: [
            sum(count for key, count in record.items() if key.startswith("sparsity/"))
            for record in Run.open(cell.paths[0]).metrics()
        ]
        for name, cell in shown.items()
        if cell.net == "s-fc"
    }
    return [
        f"first-layer filters: {pictures.filters(filters, folder / 'filters.png')}",
        f"non-zeros against epochs: {pictures.nonzeros(curves, folder / 'nonzeros.png')}",
    ]


def _first_layer(path: Path) -> Tensor:
    """Filters `[units, height, width]`: rows of S-FC as images, the kernels of S-LOCAL at every position, of S-CONV."""
    checkpoint = Run.open(path).load_checkpoint()
    if checkpoint is None:
        raise RuntimeError(f"{path} ended without a checkpoint")
    weight: torch.Tensor = checkpoint["model"]["conv1.weight"]
    return weight.reshape(-1, 8, 8) if weight.ndim == 2 else weight.reshape(-1, *weight.shape[-2:])
