"""From which width on a large β helps rather than hurts, and whether λ or β in proportion to the width repairs it.

Claim: β = 50 beats plain L1 (β = 0, the same λ) in wide nets and loses to it in very narrow ones, whose layers it
    empties; narrower nets want a smaller λ or β.
Paper item: Table 2 (one width only; that β = 50 hurts narrow nets is what others found).
Command: lcfs study beta_and_width --scale laptop
Hardware: two CPU cores for laptop, one GPU for paper. Time: laptop 16 core-minutes (42 runs of 4 epochs, α = 1 … 8);
    signals 12 core-minutes (90 runs).
Expected: the sign of "β = 50 minus β = 0" changes within the widths tried; at the narrowest both scalings lie above
    β = 50 unscaled by 1 point or more. On signals the gain changes sign between α = 4 and α = 32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lcfs.config import OptimizerConfig
from studies.engine.findings import Rows, gain
from studies.engine.records import Record
from studies.engine.scales import Scale
from studies.engine.study import Cell, Study, Table
from studies.engine.tables import accuracy_table

BETA = 50.0


def cells(scale: Scale) -> list[Cell]:
    """Four ways at every width; those in proportion to the width α are the unscaled one at the scale's own α."""
    return list(
        dict.fromkeys(
            Cell(f"α = {width}, {way}", scale.short_config("s-fc", width, optimizer, seed))
            for width in scale.widths
            for way, optimizer in _ways(scale, width).items()
            for seed in scale.seeds
        )
    )


def _ways(scale: Scale, width: int) -> dict[str, OptimizerConfig]:
    full, share = scale.beta_lasso(BETA), width / scale.shallow
    ways = {"β = 0": scale.beta_lasso(0.0), f"β = {BETA:g}": full}
    if share == 1:
        return ways
    weaker = replace(full, l1_conv=full.l1_conv * share, l1_fc=full.l1_fc * share)
    return ways | {
        f"β = {BETA:g}, λ ∝ α": weaker,
        f"β = {BETA:g} · α / {scale.shallow}": scale.beta_lasso(BETA * share),
    }


def tables(records: Mapping[str, Sequence[Record]]) -> list[Table]:
    """All runs, and at each width what each way gains over plain L1."""
    rows = []
    for row, runs in records.items():
        width, way = row.split(", ", 1)
        plain = records.get(f"{width}, β = 0", ())
        if way == "β = 0" or not plain:
            continue
        rows.append((width, way, gain(runs, plain)))
    gains = Table("test accuracy minus that of β = 0, points", ("width", "way", "gain"), tuple(rows))
    return [*accuracy_table(records), gains]


def found(rows: Rows) -> str:
    """What each way gains over β = 0 from width to width."""
    gains: dict[str, list[str]] = {}
    for name, runs in rows.items():
        width, _, way = name.partition(", ")
        if way != "β = 0":
            gains.setdefault(way, []).append(f"{gain(runs, rows[f'{width}, β = 0'])} at {width}")
    return f"gain over β = 0, points: {'; '.join(f'{way}: ' + ', '.join(parts) for way, parts in gains.items())}"


STUDY = Study(
    claim="β = 50 helps wide nets and hurts very narrow ones, which want a smaller λ or β",
    item="Table 2",
    expected="the gain over β = 0 changes sign within the widths; scaled by the width it is less negative",
    cells=cells,
    tables=tables,
    found=found,
)
