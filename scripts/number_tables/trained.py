"""Tables of trained nets beside the paper's, from the records of a scale."""

from paper_figures.tools.paper import tables
from paper_figures.tools.selecting import LAPTOP, Source, by_row
from studies.engine.findings import accuracy, core_minutes, density
from studies.engine.records import RECORDS, read
from studies.engine.scales import SCALES
from studies.engine.study import find, names
from studies.grids import longer_training, sharing_and_locality, training_fully_connected

SIGNALS = Source("signals", "signals")
_DATA = {"cifar10": "CIFAR-10", "signals": "MNIST-1D"}


def has_records(source: Source) -> bool:
    """Whether the records of a scale are part of the package."""
    return source.scale in SCALES and bool(read(RECORDS / source.scale))


def headline() -> str:
    """Our runs beside the paper's Table 2, with n and cost: the paper in miniature where its records exist."""
    return headline_of(SIGNALS if has_records(SIGNALS) else LAPTOP)


def headline_of(source: Source) -> str:
    """A sentence that says what was trained, and one row a training of Table 2."""
    scale = SCALES[source.scale]
    paper = tables()["table2"]["rows"]
    lines = [
        f"Test accuracy in %: paper (CIFAR-10, α = 150, 4,000 epochs); ours ({_DATA[scale.data]}, α = {scale.shallow}, "
        f"{scale.epochs:,} epochs), mean ± standard error.",
        "",
        "| net, optimizer | paper | ours | n | weights not zero | minutes a run, busy core |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in by_row(training_fully_connected.cells, source).items():
        if not runs or name == "S-FC, β = 1":  # on the page of results
            continue
        largest = name == f"S-FC, β = {scale.beta:g}"
        printed = paper.get("S-FC, β = 50" if largest else name)
        label = f"S-FC, β = {scale.beta:g} (paper 50)" if largest else name
        lines.append(
            f"| {label} | {'' if printed is None else f'{printed[0]:.2f}'} | {accuracy(runs):.2f} | {len(runs)} "
            f"| {density(runs).mean:.1f} % | {core_minutes({name: runs}) / len(runs):.1f} |"
        )
    return "\n".join(lines)


def table1(source: Source = LAPTOP) -> str:
    """Table 1 of the paper beside the runs of a scale: one row a net."""
    paper = tables()["table1"]["rows"]
    lines = [
        "| net | paper, 400 / 4,000 epochs | n | ours, test | ours, train | weights |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in by_row(sharing_and_locality.cells, source).items():
        if runs:
            printed = paper[runs[0].config["architecture"]][0]
            lines.append(
                f"| {name.removesuffix(', SGD')} | {printed[0]:.2f} / {printed[1]:.2f} | {len(runs)} "
                f"| {accuracy(runs):.2f} | {accuracy(runs, 'train'):.2f} | {runs[0].metrics['final/weights']:,} |"
            )
    return "\n".join(lines)


def table2(source: Source = LAPTOP) -> str:
    """Table 2 of the paper beside the runs of a scale: one row a training."""
    paper = tables()["table2"]["rows"]
    rows = by_row(training_fully_connected.cells, source)
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


def findings(source: Source = LAPTOP) -> str:
    """One row a study: what it asks of the paper, what it found in its records, and what that took."""
    lines = ["| paper | `lcfs study` | `lcfs figure` | found | runs, core-minutes |", "|---|---|---|---|---|"]
    for name in names():
        study = find(name)
        rows = by_row(study.cells, source)
        if all(rows.values()):
            runs = {run.name for group in rows.values() for run in group}
            shown = ", ".join(f"`{figure}`" for figure in study.figures)
            cost = f"{len(runs)}, {core_minutes(rows):.0f}"
            lines.append(f"| {study.item} | `{name}` | {shown} | {study.found(rows)} | {cost} |")
    return "\n".join(lines)


def signals_section() -> str:
    """The whole section on the paper in miniature; nothing until its records exist."""
    if not has_records(SIGNALS):
        return ""
    return "\n\n".join(
        (
            "## The paper in miniature: signals (MNIST-1D)",
            headline_of(SIGNALS),
            "Table 1, what sharing and locality are worth (`lcfs study sharing_and_locality --scale signals`):",
            table1(SIGNALS),
            "Studies that are complete at this scale:",
            findings(SIGNALS),
        )
    )


def cifar10_table() -> str:
    """One row a run of the study longer_training."""
    lines = [
        "| net, α | optimizer | epochs | train error % | test accuracy % | non-zeros per layer | weights |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in (record for runs in by_row(longer_training.cells).values() for record in runs):
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
