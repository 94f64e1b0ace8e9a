"""Write the README's numbers from the run records: python scripts/readme_numbers.py [--check]."""

import json
import re
import sys
from pathlib import Path

from paper_figures.tools.paper import tables
from paper_figures.tools.selecting import by_row
from studies.engine.findings import accuracy, core_minutes, density
from studies.engine.records import Record, read
from studies.engine.study import find, names
from studies.grids import sharing_and_locality, training_fully_connected

ROOT = Path(__file__).resolve().parent.parent
RECORDS, BENCHMARKS = ROOT / "studies" / "records", ROOT / "benchmarks" / "records"


def cifar10_table() -> str:
    """One row a record of studies/records/cifar10."""
    lines = [
        "| net, α | optimizer | epochs | train error % | test accuracy % | non-zeros per layer | weights |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in sorted(read(RECORDS / "cifar10"), key=_order):
        config, metrics = record.config, record.metrics
        layers = [f"{count:,}" for name, count in metrics.items() if name.startswith("final/nonzeros/")]
        optimizer = config["optimizer"]
        name = "SGD" if optimizer["name"] == "sgd" else f"β-LASSO, β = {optimizer['beta']:g}"
        lines.append(
            f"| {config['architecture'].upper()}, {config['base_channels']} | {name} | {config['epochs']} "
            f"| {100 * metrics['final/train_error']:.2f} | {100 * metrics['final/test_accuracy']:.2f} "
            f"| {' / '.join(layers)} | {metrics['final/weights']:,} |"
        )
    return "\n".join(lines)


def size_table() -> str:
    """One row a net of benchmarks/records/size.json."""
    lines = ["| net, α | weights | seconds per step | peak memory |", "|---|---|---|---|"]
    for row in json.loads((BENCHMARKS / "size.json").read_text()):
        lines.append(
            f"| {row['net'].upper()}, {row['base_channels']} | {row['weights']:,} | {row['seconds_per_step']:.1f} "
            f"| {row['peak_memory_gib']:.2f} GiB |"
        )
    return "\n".join(lines)


def table1() -> str:
    """Table 1 of the paper beside the runs of studies/records/laptop: one row a net."""
    paper = tables()["table1"]["rows"]
    lines = [
        "| net | paper, 400 / 4,000 epochs | n | ours, test | ours, train | weights |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in by_row(sharing_and_locality.cells).items():
        if runs:
            printed = paper[runs[0].config["architecture"]][0]
            lines.append(
                f"| {name.removesuffix(', SGD')} | {printed[0]:.2f} / {printed[1]:.2f} | {len(runs)} "
                f"| {accuracy(runs):.2f} | {accuracy(runs, 'train'):.2f} | {runs[0].metrics['final/weights']:,} |"
            )
    return "\n".join(lines)


def table2() -> str:
    """Table 2 of the paper beside the runs of studies/records/laptop: one row a training."""
    paper = tables()["table2"]["rows"]
    rows = by_row(training_fully_connected.cells)
    lines = [
        "| net, optimizer | paper | n | ours, test | ours, train | weights not zero, % |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys([*rows, *paper]):
        printed, runs = f"{paper[name][0]:.2f}" if name in paper else "", rows.get(name, ())
        estimates = (accuracy(runs), accuracy(runs, "train"), density(runs)) if runs else ()
        ours = [f"{value:.2f}" for value in estimates] or ["", "", ""]
        lines.append(f"| {name} | {printed} | {len(runs) or ''} | {' | '.join(ours)} |")
    return "\n".join(lines)


def findings() -> str:
    """One row a study: what it asks of the paper, what it found in its records, and what that took."""
    lines = ["| paper | `lcfs study` | `lcfs figure` | found | runs, core-minutes |", "|---|---|---|---|---|"]
    for name in names():
        study = find(name)
        rows = by_row(study.cells)
        if all(rows.values()):
            runs = {run.name for group in rows.values() for run in group}
            shown = ", ".join(f"`{figure}`" for figure in study.figures)
            cost = f"{len(runs)}, {core_minutes(rows):.0f}"
            lines.append(f"| {study.item} | `{name}` | {shown} | {study.found(rows)} | {cost} |")
    return "\n".join(lines)


def locality_table() -> str:
    """One row a net of studies/records/learned_filters.json."""
    paper = tables()["radius_of_gyration"]
    lines = [
        "| first layer | non-zeros | radius of gyration, px | paper | pixels permuted | left over by a convolution |",
        "|---|---|---|---|---|---|",
    ]
    for row in json.loads((RECORDS / "learned_filters.json").read_text()):
        _, median, _, permuted = row["measures"]["radius of gyration, px"]
        left = ""
        if row["unexplained"] is not None:
            left = f"{100 * row['unexplained']:.0f} % (permuted {100 * row['permuted_unexplained']:.0f} %)"
        optimizer = {"sgd": "SGD", "beta-lasso": "β-LASSO"}[row["optimizer"]]
        radii = map(str, paper.get(f"{row['net']}, {row['optimizer']}", ()))
        lines.append(
            f"| {row['net'].upper()}, {optimizer} | {row['nonzeros']:,} | {median:.1f} "
            f"| {'–'.join(radii)} | {permuted:.1f} | {left} |"
        )
    return "\n".join(lines)


def certificates_table() -> str:
    """One row a certificate of studies/records/certificates.json."""
    lines = [
        "| net | images | bits | train error % | Theorem 1 | Occam–binomial | images needed | test-set bound |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in json.loads((RECORDS / "certificates.json").read_text()):
        vacuous = " (vacuous)" if row["samples_needed"] else ""
        needed = f"{row['samples_needed']:,}" if row["samples_needed"] else "it has enough"
        lines.append(
            f"| {row['name']} | {row['images']:,} | {row['bits']:,} | {100 * row['train_error']:.1f} "
            f"| {100 * row['theorem1']:.1f} % | {100 * row['occam_binomial']:.2f} %{vacuous} | {needed} "
            f"| {100 * row['test_set_bound']:.1f} % |"
        )
    return "\n".join(lines)


def tiny_certificate() -> str:
    """The end of a list item: what studies/records/tiny_certificate.json comes to."""
    record = json.loads((RECORDS / "tiny_certificate.json").read_text())
    bound = 100 * record["bounds"]["occam_binomial"]
    return (
        f"  its error is at most {bound:.2f} %, in {record['bits']:,} bits that anyone can decode and check\n"
        f"  ({100 * record['test_error']:.1f} % on the test set; "
        f"{record['cpu_seconds'] / 60:.0f} CPU minutes of training)."
    )


def update_table() -> str:
    """One row a form and number of threads of benchmarks/records/update.json."""
    lines = ["| form | threads | wall time ÷ SGD | CPU time ÷ SGD |", "|---|---|---|---|"]
    for row in json.loads((BENCHMARKS / "update.json").read_text()):
        if row["form"].startswith("β-LASSO"):
            lines.append(
                f"| {row['form']} | {row['threads']} | {row['wall_times_sgd']:.3g} | {row['cpu_times_sgd']:.3g} |"
            )
    return "\n".join(lines)


def sparse_table() -> str:
    """One row a net and batch of benchmarks/records/sparse_inference.json."""
    lines = ["| net | batch | times faster than dense | largest relative difference |", "|---|---|---|---|"]
    for row in json.loads((BENCHMARKS / "sparse_inference.json").read_text()):
        if "net" in row:
            lines.append(
                f"| {row['net']} | {row['batch']} | {row['times_faster_than_dense']:.1f} "
                f"| {row['largest_relative_difference']:.0e} |"
            )
    return "\n".join(lines)


def epoch_table() -> str:
    """One row a net and precision of benchmarks/records/laptop_epoch.json."""
    lines = [
        "| net, α | ours in | usual loop in | CPU time, times faster | wall time, times faster |",
        "|---|---|---|---|---|",
    ]
    for row in json.loads((BENCHMARKS / "laptop_epoch.json").read_text()):
        lines.append(
            f"| {row['net'].upper()}, {row['base_channels']} | {row['precision']} | {row['usual_precision']} "
            f"| {row['cpu_speedup']:.2f} | {row['wall_speedup']:.2f} |"
        )
    return "\n".join(lines)


def embedding_table() -> str:
    """One row a way of benchmarks/records/embedding.json."""
    lines = ["| what | way | CPU time ÷ ours | peak memory ÷ matrix |", "|---|---|---|---|"]
    for row in json.loads((BENCHMARKS / "embedding.json").read_text()):
        peak = f"{row['peak_over_matrix']:.2f}" if row.get("peak_over_matrix") else ""
        lines.append(f"| {row['subject']} | {row['way']} | {row['times_ours']:.3g} | {peak} |")
    return "\n".join(lines)


TABLES = {
    "locality": locality_table,
    "table1": table1,
    "table2": table2,
    "findings": findings,
    "tiny": tiny_certificate,
    "cifar10": cifar10_table,
    "size": size_table,
    "certificates": certificates_table,
    "update": update_table,
    "sparse": sparse_table,
    "epoch": epoch_table,
    "embedding": embedding_table,
}


def fill(text: str) -> str:
    """The README with all tables written anew."""
    for name, table in ((name, make()) for name, make in TABLES.items()):
        marked = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = marked.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
    return text


def _order(record: Record) -> tuple[int, bool]:
    config = record.config
    return ("s-conv", "s-local", "s-fc").index(config["architecture"]), config["optimizer"]["name"] != "sgd"


def main() -> None:
    """Rewrite the README, or with --check fail if it is not what the records say."""
    path = ROOT / "README.md"
    before = path.read_text()
    after = fill(before)
    if "--check" in sys.argv:
        if before != after:
            sys.exit("README.md does not match the records; run python scripts/readme_numbers.py")
    else:
        path.write_text(after)


if __name__ == "__main__":
    main()
