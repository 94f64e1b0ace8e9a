"""How accuracy grows with size, and the fewest weights that fit: ResNet18, D-CONV, S-CONV and 3-FC.

Claim: more weights never hurt the test accuracy of any of the four nets; at equal size ResNet18 > D-CONV > S-CONV >
    3-FC; and the fewer weights a kind of net needs to fit the training set, the better its best test accuracy.
Paper item: Figures 2 and 6. Command: lcfs study scaling --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: laptop 15 core-minutes (16 runs of 4 epochs, one seed).
Expected: at the paper's sizes its curves ± 1 point; at laptop size the same order of kinds among nets of 40 thousand
    weights or more, and the same order by weights needed, 50 % of the training images right. On signals, without
    ResNet18, D-CONV > S-CONV > 3-FC at equal size, D-CONV 96 % or more at its largest.
"""

from collections.abc import Mapping, Sequence

from lcfs.config import Architecture
from studies.analyses.parameter_counts import count
from studies.engine.findings import Rows, mean_of
from studies.engine.records import Record
from studies.engine.scales import SGD, Scale
from studies.engine.study import Cell, Study, Table
from studies.engine.tables import accuracy_table

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)  # train accuracy, as the net is used: without augmentation
NETS: tuple[Architecture, ...] = ("resnet18", "d-conv", "s-conv", "3-fc")
_WIDTHS: dict[str, dict[Architecture, tuple[int, ...]]] = {
    "smoke": {"resnet18": (1,), "d-conv": (1,), "s-conv": (1, 2), "3-fc": (8, 16)},
    "signals": {"d-conv": (1, 2, 4, 8), "s-conv": (2, 4, 8, 16, 32), "3-fc": (12, 48, 192, 768)},
    "laptop": {"resnet18": (1, 2, 4), "d-conv": (1, 2, 4, 8), "s-conv": (1, 2, 4, 8, 16), "3-fc": (16, 64, 256, 1024)},
}
_PAPER_WEIGHTS = tuple(1e6 * 2.0**k for k in range(-5, 11))  # Figure 6


def cells(scale: Scale) -> list[Cell]:
    """Every kind by SGD at several sizes; in the paper 2ᵏ million weights, k = −5 … 10."""
    return [
        Cell(f"{net.upper()}, α = {width}", scale.short_config(net, width, SGD, seed))
        for net in NETS
        for width in widths(scale, net)
        for seed in scale.seeds[:1]
    ]


def widths(scale: Scale, net: Architecture) -> tuple[int, ...]:
    """α of a kind of net at a scale."""
    if scale.name in _WIDTHS:
        return _WIDTHS[scale.name].get(net, ())
    return tuple(dict.fromkeys(width(net, weights) for weights in _PAPER_WEIGHTS))


def width(net: str, weights: float) -> int:
    """The α at which a net on CIFAR-10 has about that many weights, at least 1.

    Its weights are aα² + bα: the first layer reads colours and the last one writes classes, of which there is a fixed
    number, and all others connect channels with channels.
    """
    one, two = count(net, 1).weights, count(net, 2).weights
    a, b = (two - 2 * one) / 2, (4 * one - two) / 2
    return max(round(((b**2 + 4 * a * weights) ** 0.5 - b) / (2 * a)), 1)


def tables(records: Mapping[str, Sequence[Record]]) -> list[Table]:
    """Every run, and for each kind its best test accuracy and the fewest weights that reach a train accuracy."""
    kinds: dict[str, list[Sequence[Record]]] = {}
    for runs in records.values():
        kinds.setdefault(runs[0].config["architecture"], []).append(runs)
    header = ("net", "best test accuracy %", *(f"{100 * level:g} %" for level in LEVELS))
    rows = tuple(
        (
            net.upper(),
            f"{max(mean_of(runs, 'final/test_accuracy').mean for runs in sizes) * 100:.2f}",
            *(_fewest(sizes, level) for level in LEVELS),
        )
        for net, sizes in kinds.items()
    )
    return [
        *accuracy_table(records),
        Table("fewest weights, of the sizes tried, with a train accuracy of", header, rows),
    ]


def _fewest(sizes: Sequence[Sequence[Record]], level: float) -> str:
    fits = [
        mean_of(runs, "final/weights").mean for runs in sizes if 1 - mean_of(runs, "final/train_error").mean >= level
    ]
    return f"{min(fits):,.0f}" if fits else ""


def found(rows: Rows) -> str:
    """The best of each kind, and the fewest weights with half of the training images right."""
    parts = []
    for net in dict.fromkeys(runs[0].config["architecture"] for runs in rows.values()):
        sizes = [runs for runs in rows.values() if runs[0].config["architecture"] == net]
        best = max(mean_of(runs, "final/test_accuracy").mean for runs in sizes)
        parts.append(f"{net.upper()} {100 * best:.2f} % ({_fewest(sizes, 0.5) or 'none'})")
    return f"best test accuracy (fewest weights with half of the training images right): {', '.join(parts)}"


STUDY = Study(
    claim="accuracy grows with size; the kind that fits with the fewest weights generalizes best",
    item="Figures 2 and 6",
    expected="ResNet18 > D-CONV > S-CONV > 3-FC at equal size; the same order by the fewest weights that fit",
    cells=cells,
    tables=tables,
    found=found,
    figures=("2", "6"),
)
