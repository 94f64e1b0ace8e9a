"""Does description length tell nets that generalize from nets that do not: bits, bounds and gaps across the grids.

Claim: among nets trained to similar train error, the ones with the shorter description have the smaller gap between
    test and train error; every bound on nets of this size is vacuous all the same.
Paper item: section 3, Theorems 1 and 2. Command: lcfs study sparsity_against_bounds --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: none beyond the runs of the other studies, which it shares.
Expected: rank correlation of the length with the gap above 0.5 across nets; no bound below 1 − 1/classes. On signals,
    where every net fits and there is a gap to explain, the same.
"""

from collections.abc import Mapping, Sequence

from scipy.stats import spearmanr

from studies.engine.findings import Rows
from studies.engine.records import Record, estimate
from studies.engine.scales import Scale
from studies.engine.study import Cell, Study, Table
from studies.grids import sharing_and_locality, training_fully_connected

LANGUAGES = ("dense", "theorem2", "enumerative-shared", "adaptive", "best")


def cells(scale: Scale) -> list[Cell]:
    """All runs of Table 1 and Table 2."""
    both = [*sharing_and_locality.cells(scale), *training_fully_connected.cells(scale)]
    return list({cell.config: cell for cell in both}.values())


def gap(record: Record) -> float:
    """Test error − train error, both in [0, 1] and without augmentation."""
    return 1 - record.metrics["final/test_accuracy"] - record.metrics["final/train_error"]


def tables(records: Mapping[str, Sequence[Record]]) -> list[Table]:
    """Lengths and the tightest bound of every net, and the rank correlation of each length with the gap."""
    rows = []
    for row, runs in records.items():
        bounds = [min(v for k, v in run.metrics.items() if k.startswith("bound/")) for run in runs]
        rows.append(
            (
                row,
                str(len(runs)),
                *(f"{estimate(run.metrics[f'bits/{name}'] for run in runs).mean:,.0f}" for name in LANGUAGES),
                f"{estimate(bounds).mean:.3f}",
                f"{estimate(100 * gap(run) for run in runs):.2f}",
            )
        )
    header = ("net", "n", *(f"{name}, bits" for name in LANGUAGES), "tightest bound", "gap, points")
    return [Table("description length and generalization gap", header, tuple(rows)), correlations(records)]


def correlations(records: Mapping[str, Sequence[Record]]) -> Table:
    """Spearman's ρ over all runs, with its p-value against independence."""
    runs = [run for group in records.values() for run in group]
    gaps = [gap(run) for run in runs]
    rows = []
    for name in (*LANGUAGES, "non-zeros"):
        lengths = [run.metrics["final/nonzeros" if name == "non-zeros" else f"bits/{name}"] for run in runs]
        correlation = spearmanr(lengths, gaps) if len(set(lengths)) > 1 and len(runs) > 2 else None
        rows.append(
            (name, *((f"{correlation.statistic:.2f}", f"{correlation.pvalue:.1e}") if correlation else ("", "")))
        )
    return Table(f"rank correlation with the gap, {len(runs)} runs", ("length", "Spearman's ρ", "p"), tuple(rows))


def found(rows: Rows) -> str:
    """The rank correlation of the shortest description with the gap, and the tightest of all bounds."""
    runs = [run for group in rows.values() for run in group]
    bits, gaps = [run.metrics["bits/best"] for run in runs], [gap(run) for run in runs]
    rho = f"{spearmanr(bits, gaps).statistic:.2f}" if len(set(bits)) > 1 and len(runs) > 2 else "undefined"
    tightest = min(value for run in runs for name, value in run.metrics.items() if name.startswith("bound/"))
    return f"rank correlation of the shortest code with the gap {rho}, {len(runs)} runs; tightest bound {tightest:.3f}"


STUDY = Study(
    claim="a shorter description goes with a smaller gap; every bound is vacuous at this size",
    item="section 3, Theorems 1 and 2",
    expected="rank correlation above 0.5 across nets; no bound below chance",
    cells=cells,
    tables=tables,
    found=found,
    figures=("sparsity_against_bounds",),
)
