"""Tables of time and memory, from benchmarks/records."""

import json
from pathlib import Path
from typing import Any

_RECORDS = Path(__file__).resolve().parents[2] / "benchmarks" / "records"


def size_table() -> str:
    """One row a net of size.json."""
    lines = ["| net, α | weights | seconds per step | peak memory |", "|---|---|---|---|"]
    for row in _rows("size"):
        lines.append(
            f"| {row['net'].upper()}, {row['base_channels']} | {row['weights']:,} | {row['seconds_per_step']:.1f} "
            f"| {row['peak_memory_gib']:.2f} GiB |"
        )
    return "\n".join(lines)


def update_table() -> str:
    """One row a form of β-LASSO's update and number of threads of update.json."""
    lines = ["| form | threads | wall time ÷ SGD | CPU time ÷ SGD |", "|---|---|---|---|"]
    for row in _rows("update"):
        if row["form"].startswith("β-LASSO"):
            lines.append(
                f"| {row['form']} | {row['threads']} | {row['wall_times_sgd']:.3g} | {row['cpu_times_sgd']:.3g} |"
            )
    return "\n".join(lines)


def sparse_table() -> str:
    """One row a net and batch of sparse_inference.json."""
    lines = ["| net | batch | times faster than dense | largest relative difference |", "|---|---|---|---|"]
    for row in _rows("sparse_inference"):
        if "net" in row:
            lines.append(
                f"| {row['net']} | {row['batch']} | {row['times_faster_than_dense']:.1f} "
                f"| {row['largest_relative_difference']:.0e} |"
            )
    return "\n".join(lines)


def epoch_table() -> str:
    """One row a net and precision of laptop_epoch.json."""
    lines = [
        "| net, α | ours in | usual loop in | CPU time, times faster | wall time, times faster |",
        "|---|---|---|---|---|",
    ]
    for row in _rows("laptop_epoch"):
        lines.append(
            f"| {row['net'].upper()}, {row['base_channels']} | {row['precision']} | {row['usual_precision']} "
            f"| {row['cpu_speedup']:.2f} | {row['wall_speedup']:.2f} |"
        )
    return "\n".join(lines)


def embedding_table() -> str:
    """One row a way of embedding.json."""
    lines = ["| what | way | CPU time ÷ ours | peak memory ÷ matrix |", "|---|---|---|---|"]
    for row in _rows("embedding"):
        peak = f"{row['peak_over_matrix']:.2f}" if row.get("peak_over_matrix") else ""
        lines.append(f"| {row['subject']} | {row['way']} | {row['times_ours']:.3g} | {peak} |")
    return "\n".join(lines)


def _rows(name: str) -> list[dict[str, Any]]:
    return json.loads((_RECORDS / f"{name}.json").read_text())
