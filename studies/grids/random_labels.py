"""Does a description length know a net that learned from one that memorized: the same trainings on random labels.

Claim: on random labels the code must grow: with the same λ it is about as long and explains far fewer labels, so that
    the bits for each label explained beyond chance multiply. Nothing can be learned there, the true error is that of
    chance, 1 − 1/classes, and no bound dips below it.
Paper item: section 3, Theorems 1 and 2 (a sanity check that is not in the paper).
Command: lcfs study random_labels --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: laptop 13 core-minutes (6 runs of 10 epochs, no
    augmentation, so that labels can be memorized).
Expected: bits for each label explained at least 3 times those on real labels (5 times for S-FC by β-LASSO on digits,
    60 epochs, n = 1); test accuracy at chance ± 1 point; every bound on random labels at chance or above. On signals,
    where nets fit random labels too, between 1 and 3 times: bits for each label differ by the length of the code alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lcfs import data
from lcfs.config import AugmentConfig
from studies.engine.findings import Rows
from studies.engine.records import Record, estimate
from studies.engine.scales import SGD, Scale
from studies.engine.study import Cell, Study, Table


def cells(scale: Scale) -> list[Cell]:
    """S-CONV by SGD and β-LASSO, S-FC by β-LASSO, each on real and on random labels; one seed."""
    trainings = (
        ("s-conv", "SGD", SGD),
        ("s-conv", f"β = {scale.beta:g}", scale.beta_lasso()),
        ("s-fc", f"β = {scale.beta:g}", scale.beta_lasso()),
    )
    plain = AugmentConfig(crop=0, flip=False)
    return [
        Cell(
            f"{net.upper()}, {name}, {'random' if random else 'real'} labels",
            replace(scale.config(net, optimizer, scale.seeds[0]), augment=plain, random_labels=random),
        )
        for net, name, optimizer in trainings
        for random in (False, True)
    ]


def bits_per_label(record: Record) -> float:
    """Bits of the shortest description for each training label that the net gets right beyond chance; inf for none."""
    chance = 1 - 1 / data.facts(record.config["data"]).classes
    explained = record.samples * (chance - record.metrics["final/train_error"])
    return record.metrics["bits/best"] / explained if explained > 0 else float("inf")


def tightest(record: Record) -> float:
    """The smallest of all bounds on the error, in [0, 1]."""
    return min(value for name, value in record.metrics.items() if name.startswith("bound/"))


def tables(records: Mapping[str, Sequence[Record]]) -> list[Table]:
    """Errors, code and tightest bound of each training, and the bits for each label explained."""
    header = ("net", "n", "train error %", "test accuracy %", "non-zeros", "bits", "bits per label", "tightest bound")
    rows = tuple(
        (
            row,
            str(len(runs)),
            f"{estimate(100 * run.metrics['final/train_error'] for run in runs):.2f}",
            f"{estimate(100 * run.metrics['final/test_accuracy'] for run in runs):.2f}",
            f"{estimate(run.metrics['final/nonzeros'] for run in runs).mean:,.0f}",
            f"{estimate(run.metrics['bits/best'] for run in runs).mean:,.0f}",
            f"{estimate(bits_per_label(run) for run in runs).mean:,.1f}",
            f"{estimate(tightest(run) for run in runs).mean:.3f}",
        )
        for row, runs in records.items()
    )
    return [Table("the same trainings on real and on random labels", header, rows)]


def found(rows: Rows) -> str:
    """How the bits for a label grow, and the tightest bound on random labels."""
    ways = [name.removesuffix(" real labels") for name in rows if name.endswith(" real labels")]
    pairs = [(way.rstrip(", "), *(rows[f"{way} {kind} labels"] for kind in ("random", "real"))) for way in ways]
    grown = [f"{way} ×{_mean_bits(random) / _mean_bits(real):.1f}" for way, random, real in pairs]
    bound = min(tightest(run) for _, random, _ in pairs for run in random)
    return (
        f"bits for each label explained, random ÷ real: {', '.join(grown)}; tightest bound on random labels {bound:.3f}"
    )


def _mean_bits(runs: Sequence[Record]) -> float:
    return estimate(bits_per_label(run) for run in runs).mean


STUDY = Study(
    claim="on random labels the code for each label explained grows, and no bound dips below chance",
    item="section 3, Theorems 1 and 2",
    expected="bits per label at least 3 times those on real labels; bounds at chance or above",
    cells=cells,
    tables=tables,
    found=found,
)
