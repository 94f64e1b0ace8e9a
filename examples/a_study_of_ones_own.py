"""A study of one's own: a claim, an expected number, a grid, and a table with its standard errors.

    python examples/a_study_of_ones_own.py

Claim: β-LASSO's threshold makes nets sparse, L1 alone does not.
Expected: more than 99 % of the weights left at β = 0, less than half of them at β = 10.
Hardware and time: one core, eight seconds (2 values of β × 2 seeds). Interrupt it and start it again: runs that have
ended are not trained a second time. To be one of `lcfs study list`, such a grid becomes a file in studies/grids.
"""

from pathlib import Path

import torch

import lcfs
from lcfs.config import AugmentConfig, OptimizerConfig
from lcfs.terminal import print_table
from studies.engine.records import Record, estimate
from studies.engine.runner import run_cells
from studies.engine.selecting import by_row
from studies.engine.study import Cell

RUNS = Path("runs") / "examples" / "study"

CELLS = [
    Cell(
        row=f"β = {beta:g}",
        config=lcfs.TrainConfig(
            "s-fc",
            base_channels=2,
            data="digits",
            epochs=6,
            batch_size=64,
            seed=seed,
            optimizer=OptimizerConfig("beta-lasso", l1_conv=4e-3, l1_fc=2e-3, beta=beta),
            augment=AugmentConfig(crop=1, flip=False),
        ),
    )
    for beta in (0.0, 10.0)
    for seed in (0, 1)
]


def main() -> None:
    """Train what is missing and print what it answers."""
    records = run_cells(CELLS, RUNS, on_done=show)
    rows = []
    for row, runs in by_row(CELLS, records.values()).items():
        accuracy = estimate(100 * run.metrics["final/test_accuracy"] for run in runs)
        density = estimate(100 * run.metrics["final/nonzeros"] / run.metrics["final/weights"] for run in runs)
        rows.append((row, str(len(runs)), f"{accuracy:.1f}", f"{density:.1f}"))
    print_table(("net", "n", "test accuracy in %", "weights left in %"), rows)


def show(record: Record, done: int, of: int) -> None:
    """One line when a run has ended."""
    print(f"{done}/{of} {record.name}: {record.status}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)  # nets this small gain nothing from threads
    main()
