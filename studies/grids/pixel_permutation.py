"""Nets that know nothing of images do not mind if all pixels are permuted; a convolution does.

Claim: the accuracy of S-FC, by SGD and by β-LASSO, is unchanged when one fixed permutation is applied to all pixels
    (after augmentation); that of S-CONV, the negative control, falls.
Paper item: section 4, the remark on permuted pixels. Command: lcfs study pixel_permutation --scale laptop
Hardware: two CPU cores for signals and laptop, one GPU for paper. Time: signals 8 core-minutes, laptop 30 minutes.
Expected: differences of S-FC within two standard errors of 0 (±0.5 points at laptop size); S-CONV loses 10 points or
    more. On signals, from a prototype (n = 3): S-FC 72.1 and 80.2 % by SGD and β-LASSO against 72.9 and 81.1 %
    in order, S-CONV 69.4 against 91.6 %.
"""

from collections.abc import Sequence

from studies.engine.findings import Rows, signed
from studies.engine.records import Estimate, Record, estimate
from studies.engine.scales import SGD, Scale
from studies.engine.study import Cell, Study
from studies.engine.tables import accuracy_table


def cells(scale: Scale) -> list[Cell]:
    """Three trainings, with pixels in order and permuted."""
    trainings = (("s-conv", "SGD", SGD), ("s-fc", "SGD", SGD), ("s-fc", f"β = {scale.beta:g}", scale.beta_lasso()))
    return [
        Cell(
            f"{net.upper()}, {name}{', permuted' if permuted else ''}",
            scale.config(net, optimizer, seed, permute_pixels=permuted),
        )
        for net, name, optimizer in trainings
        for permuted in (False, True)
        for seed in scale.seeds
    ]


def found(rows: Rows) -> str:
    """What permuting the pixels does to each training."""
    ordered = [name for name in rows if "permuted" not in name]
    changes = {name: change(rows[name], rows[f"{name}, permuted"]) for name in ordered}
    return f"permuted − in order, points: {'; '.join(f'{name} {signed(by)}' for name, by in changes.items() if by)}"


def change(ordered: Sequence[Record], permuted: Sequence[Record]) -> Estimate | None:
    """Points of test accuracy, permuted runs minus runs of the same seeds in order; None without pairs."""
    by_seed = {record.config["seed"]: record.metrics["final/test_accuracy"] for record in ordered}
    pairs = [(by_seed.get(record.config["seed"]), record.metrics["final/test_accuracy"]) for record in permuted]
    differences = [100 * (after - before) for before, after in pairs if before is not None]
    return estimate(differences) if differences else None


STUDY = Study(
    claim="permuting all pixels changes nothing for S-FC and much for S-CONV",
    item="section 4",
    expected="S-FC: within two standard errors of 0; S-CONV: 10 points or more",
    cells=cells,
    tables=accuracy_table,
    found=found,
    figures=("pixel_permutation",),
)
