"""What twice the epochs of the laptop size do for the three S nets, by SGD and by β-LASSO.

Claim: trained for longer, S-FC by β-LASSO comes as close to S-FC by SGD as in the shorter runs, with a few per cent of
    the weights; CONV and LOCAL stay above FC.
Paper item: Table 2, in miniature. Command: lcfs study longer_training --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: laptop 65 core-minutes (6 runs of 20 epochs, one seed).
Expected, written down after the laptop runs (n = 1), which came before this file: S-FC 59.8 % by SGD and 59.1 % by
    β-LASSO, which keeps 2.2 % of its weights; S-LOCAL and S-CONV 63 to 68 %. λ and β were chosen for S-FC on 5,000
    validation images, from five settings at 10 epochs: validation accuracy 56.6 % (SGD: 55.3 %). On signals twice the
    epochs change no accuracy by more than a point: all nets fit in half of them.
"""

from dataclasses import replace

from lcfs.config import Architecture
from studies.engine.findings import Rows, density, gain
from studies.engine.scales import SGD, Scale
from studies.engine.study import Cell, Study
from studies.engine.tables import accuracy_table

NETS: tuple[Architecture, ...] = ("s-conv", "s-local", "s-fc")
LONGER = 2  # times the scale's epochs


def cells(scale: Scale) -> list[Cell]:
    """Each net by SGD and by β-LASSO, one seed, in float32 on a CPU."""
    ways = {"SGD": SGD, f"β = {scale.beta:g}": scale.beta_lasso()}
    return [
        Cell(
            f"{net.upper()}, {way}",
            replace(scale.config(net, optimizer, scale.seeds[0]), epochs=LONGER * scale.epochs, precision="auto"),
        )
        for net in NETS
        for way, optimizer in ways.items()
    ]


def found(rows: Rows) -> str:
    """What β-LASSO gains over SGD for each net, and with how many weights."""
    parts = []
    for net in (net.upper() for net in NETS):
        way = next(name for name in rows if name.startswith(f"{net}, β"))
        parts.append(f"{net} {gain(rows[way], rows[f'{net}, SGD'])} with {density(rows[way]).mean:.1f} % of weights")
    return f"β-LASSO − SGD, points: {', '.join(parts)}"


STUDY = Study(
    claim="for twice the epochs S-FC by β-LASSO stays as close to SGD, with a few per cent of the weights",
    item="Table 2, in miniature",
    expected="β-LASSO within a point of SGD for S-FC; CONV and LOCAL above FC",
    cells=cells,
    tables=accuracy_table,
    found=found,
)
