"""Another road to local masks: iterative magnitude pruning with rewinding against β-LASSO, on S-FC.

Claim: both arrive at local masks in the first layer, far from random ones; at equal density pruning is as accurate as
    β-LASSO, for as many trainings as it has rounds.
Paper item: none; a rival of β-LASSO (Pellegrini and Biroli, 2022, found that pruning makes local masks).
Command: lcfs study magnitude_pruning --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: laptop 15 core-minutes (9 runs of 4 or 16 epochs, α = 4);
    signals 14 core-minutes (15 runs of 200 or 996 epochs).
Expected: test accuracy at equal density within 2 points of each other; radius of gyration of the masks, median, at
    least 1 px below that of random masks (13.05 px on 32 × 32) for both. On signals the same, in samples (distance of
    random inputs 13.7): 1 below random.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lcfs.config import PruneConfig
from studies.engine.findings import Rows, accuracy, density, mean_of
from studies.engine.records import Record, estimate
from studies.engine.scales import SGD, Scale
from studies.engine.study import Cell, Study, Table
from studies.engine.tables import accuracy_table

_RADIUS, _RANDOM = "locality/mask_radius_px", "locality/random_mask_radius_px"
ROUNDS, FRACTION = 5, 0.6  # from all weights of each layer to 0.4⁴ = 2.6 % of them


def cells(scale: Scale) -> list[Cell]:
    """Pruning, β-LASSO for the epochs of one round, and β-LASSO for those of all rounds.

    Pruned layer by layer, as Frankle and Carbin prune fully-connected nets: compared across layers, the first layer's
    weights, the smallest because it has the most inputs, go first (on digits at α = 1 all of them).
    """
    prune = PruneConfig(ROUNDS, FRACTION, rewind_epoch=1, scope="layer")
    together = scale.short + (ROUNDS - 1) * (scale.short - 1)
    name = f"β = {scale.beta:g}"
    grid = []
    for seed in scale.seeds:
        sgd = scale.short_config("s-fc", scale.narrow, SGD, seed)
        lasso = scale.short_config("s-fc", scale.narrow, scale.beta_lasso(), seed)
        grid += [
            Cell("pruning with rewinding", replace(sgd, prune=prune)),
            Cell(f"{name}, epochs of one round", lasso),
            Cell(f"{name}, epochs of all rounds", replace(lasso, epochs=together)),
        ]
    return grid


def tables(records: Mapping[str, Sequence[Record]]) -> list[Table]:
    """Every run; density against accuracy round by round, β-LASSO's between them; and the locality of the masks."""
    return [*accuracy_table(records), _densities(records), _localities(records)]


def _densities(records: Mapping[str, Sequence[Record]]) -> Table:
    by_density: list[tuple[float, str, str]] = []
    for row, runs in records.items():
        rounds = runs[0].config.get("prune", {}).get("rounds", 1)
        pairs = [(f"round/{n}/nonzeros", f"round/{n}/test_accuracy", f", round {n}") for n in range(1, rounds + 1)]
        for weights, right, label in pairs if rounds > 1 else [("final/nonzeros", "final/test_accuracy", "")]:
            density = estimate(100 * run.metrics[weights] / run.metrics["final/weights"] for run in runs)
            value = estimate(100 * run.metrics[right] for run in runs)
            by_density.append((density.mean, row + label, f"{value:.2f}"))
    rows = tuple((name, f"{density:.2f}", value) for density, name, value in sorted(by_density, reverse=True))
    return Table("by falling density", ("way", "weights left %", "test accuracy %"), rows)


def _localities(records: Mapping[str, Sequence[Record]]) -> Table:
    rows = []
    for row, runs in records.items():
        known = [run for run in runs if _RADIUS in run.metrics]
        if known:
            rows.append((row, str(len(known)), f"{mean_of(known, _RADIUS):.2f}", f"{mean_of(known, _RANDOM):.2f}"))
    header = ("way", "n", "masks, px", "random masks, px")
    return Table("radius of gyration of the first layer's masks, median over units", header, tuple(rows))


def found(rows: Rows) -> str:
    """Accuracy, density and locality of the masks of each way."""
    return "; ".join(
        f"{name}: {accuracy(runs):.2f} % with {density(runs).mean:.1f} % of the weights, "
        f"masks {mean_of(runs, _RADIUS).mean:.1f} px (random {mean_of(runs, _RANDOM).mean:.1f})"
        for name, runs in rows.items()
        if all(_RADIUS in run.metrics for run in runs)
    )


STUDY = Study(
    claim="pruning with rewinding finds local masks as β-LASSO does, for as many trainings as it has rounds",
    item="no item of the paper: a rival of β-LASSO",
    expected="equal accuracy at equal density, ± 2 points; masks at least 1 px below random ones",
    cells=cells,
    tables=tables,
    found=found,
)
