"""Hard, soft or one-sided threshold: what the paper's words, its algorithm and its Figure 3 each ask for.

Claim: the hard threshold of Algorithm 1 gives sparser nets than the soft one with the same λ (ISTA, β = 1) at about
    the same accuracy. Only the one-sided one, which keeps θ ≥ βλ, starts with half of each layer as Figure 3 does.
Paper item: Algorithm 1 and the text beside it ("soft-thresholding"), Figure 3.
Command: lcfs study thresholds --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: laptop 15 core-minutes (12 runs of 4 epochs at α = 8);
    signals 5 core-minutes (20 runs).
Expected: at laptop size test accuracies within 2 points of each other; after the first epoch the one-sided threshold
    leaves at most half of the last layer's weights, the hard one 95 % or more of them. On signals the same at the end;
    the one-sided threshold keeps half of every layer in the first epoch, as Figure 3 does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from studies.engine.findings import Rows, accuracy, density
from studies.engine.records import Record, estimate
from studies.engine.scales import Scale
from studies.engine.study import Cell, Study, Table
from studies.engine.tables import accuracy_table


def cells(scale: Scale) -> list[Cell]:
    """Four thresholds with the same λ: soft ones as ISTA and with the scale's β."""
    hard, ista = scale.beta_lasso(), replace(scale.beta_lasso(1.0), threshold="soft")
    ways = {
        f"hard, β = {scale.beta:g}": hard,
        f"one-sided, β = {scale.beta:g}": replace(hard, one_sided=True),
        "soft, β = 1 (ISTA)": ista,
        f"soft, β = {scale.beta:g}": replace(ista, beta=scale.beta),
    }
    return [
        Cell(row, scale.short_config("s-fc", scale.shallow, optimizer, seed))
        for row, optimizer in ways.items()
        for seed in scale.seeds
    ]


def tables(records: Mapping[str, Sequence[Record]]) -> list[Table]:
    """Accuracy and sparsity at the end, and non-zeros of each layer after the first epoch."""
    layers = [key for key in next(iter(records.values()))[0].epochs if key.startswith("sparsity/")]
    rows = tuple(
        (row, str(len(runs)), *(f"{estimate(run.epochs[layer][0] for run in runs).mean:,.0f}" for layer in layers))
        for row, runs in records.items()
    )
    header = ("threshold", "n", *(layer.removeprefix("sparsity/") for layer in layers))
    return [*accuracy_table(records), Table("non-zeros after the first epoch", header, rows)]


def found(rows: Rows) -> str:
    """Accuracy and density of each threshold."""
    return "; ".join(
        f"{name}: {accuracy(runs):.2f} % with {density(runs).mean:.1f} % of the weights" for name, runs in rows.items()
    )


STUDY = Study(
    claim="hard is sparser than soft at about the same accuracy; only one-sided starts at half of the weights",
    item="Algorithm 1, Figure 3",
    expected="accuracies within 2 points; after one epoch half of the last layer one-sided, 95 % or more hard",
    cells=cells,
    tables=tables,
    found=found,
)
