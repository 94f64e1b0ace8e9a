"""What first layers learned, from studies/records/learned_filters.json."""

import json
from typing import Any

from paper_figures.tools.paper import tables
from studies.engine.records import RECORDS

RADIUS = "radius of gyration, px"


def locality_table() -> str:
    """One row a net."""
    lines = [
        "| first layer | non-zeros | radius of gyration, px | paper | pixels permuted | left over by a convolution |",
        "|---|---|---|---|---|---|",
    ]
    for row in learned_filters():
        _, median, _, permuted = row["measures"][RADIUS]
        left = ""
        if row["unexplained"] is not None:
            left = f"{100 * row['unexplained']:.0f} % (permuted {100 * row['permuted_unexplained']:.0f} %)"
        optimizer = {"sgd": "SGD", "beta-lasso": "β-LASSO"}[row["optimizer"]]
        lines.append(
            f"| {row['net'].upper()}, {optimizer} | {row['nonzeros']:,} | {median:.1f} "
            f"| {printed_radius(row['net'], row['optimizer'])} | {permuted:.1f} | {left} |"
        )
    return "\n".join(lines)


def learned_filters() -> list[dict[str, Any]]:
    """The record of each net: measures of its filters, and what the nearest convolution leaves over."""
    return json.loads((RECORDS / "learned_filters.json").read_text())


def printed_radius(net: str, optimizer: str) -> str:
    """The radius of gyration in the paper's figures, in pixels: one number, a range, or nothing."""
    return "–".join(map(str, tables()["radius_of_gyration"].get(f"{net}, {optimizer}", ())))
