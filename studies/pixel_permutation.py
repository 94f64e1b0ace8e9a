"""Nets that know nothing of images do not mind if all pixels are permuted; a convolution does.

Claim: the accuracy of S-FC, by SGD and by β-LASSO, is unchanged when one fixed permutation is applied to all pixels
    (after augmentation); that of S-CONV, the negative control, falls.
Paper item: section 4, the remark on permuted pixels. Command: lcfs study pixel_permutation --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: laptop 30 minutes.
Expected: differences of S-FC within two standard errors of 0 (±0.5 points at laptop size); S-CONV loses 10 points or
    more.
"""

from studies.findings import Rows, gain
from studies.scales import SGD, Scale
from studies.study import Cell, Study
from studies.tables import accuracy_table


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
    changes = [
        f"{name} {gain(rows[f'{name}, permuted'], runs)}" for name, runs in rows.items() if "permuted" not in name
    ]
    return f"permuted − in order, points: {'; '.join(changes)}"


STUDY = Study(
    claim="permuting all pixels changes nothing for S-FC and much for S-CONV",
    item="section 4",
    expected="S-FC: within two standard errors of 0; S-CONV: 10 points or more",
    cells=cells,
    tables=accuracy_table,
    found=found,
    figures=("pixel_permutation",),
)
