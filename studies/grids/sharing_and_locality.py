"""What sharing, locality and depth are worth: Table 1.

Claim: with everything else alike, accuracy falls from CONV to LOCAL to FC, and locality explains more of the gap than
    sharing: LOCAL is nearer to CONV than to FC. Depth helps CONV and hurts FC.
Paper item: Table 1. Command: lcfs study sharing_and_locality --scale laptop
Hardware: two CPU cores for signals and laptop, one GPU for paper. Time: signals 12 core-minutes, laptop 90 minutes.
Expected: at the paper's size 84.14 / 81.52 / 72.77 % for S-CONV / S-LOCAL / S-FC after 400 epochs and 88.84 / 86.13 /
    64.78 % for the D nets, ±0.5; at laptop size the same order with smaller gaps. On signals, from a prototype (n = 3):
    91.6 / 87.2 / 72.9 % for the S nets, ±1, and 96.5 / 74 % for D-CONV / D-FC (n = 1): depth helps CONV, hardly FC.
"""

from studies.engine.findings import Rows, gain
from studies.engine.scales import SGD, Scale
from studies.engine.study import Cell, Study
from studies.engine.tables import accuracy_table

NETS = ("d-conv", "d-local", "d-fc", "s-conv", "s-local", "s-fc", "3-fc")


def cells(scale: Scale) -> list[Cell]:
    """Every net by SGD."""
    return [Cell(f"{net.upper()}, SGD", scale.config(net, SGD, seed)) for net in NETS for seed in scale.seeds]


def found(rows: Rows) -> str:
    """What sharing and locality are worth at each depth, and depth for each kind."""
    kinds = [
        f"{depth}-nets: CONV − LOCAL {gain(rows[f'{depth}-CONV, SGD'], rows[f'{depth}-LOCAL, SGD'])} points, "
        f"LOCAL − FC {gain(rows[f'{depth}-LOCAL, SGD'], rows[f'{depth}-FC, SGD'])}"
        for depth in "DS"
    ]
    deep = [f"{kind} {gain(rows[f'D-{kind}, SGD'], rows[f'S-{kind}, SGD'])}" for kind in ("CONV", "FC")]
    return f"{'; '.join(kinds)}; D − S: {', '.join(deep)}"


STUDY = Study(
    claim="CONV > LOCAL > FC, and LOCAL is nearer to CONV than to FC",
    item="Table 1",
    expected="the paper's order at every size, at its own its accuracies ± 0.5; on signals S: 91.6, 87.2, 72.9 % ± 1",
    cells=cells,
    tables=accuracy_table,
    found=found,
    figures=("table1",),
)
