"""What a person sees on the terminal of a run, its description and its first layer."""

from pathlib import Path

from lcfs.analysis.counts import StateSummary
from lcfs.analysis.first_layer import LEAST_NONZEROS, FirstLayer
from lcfs.config import TrainConfig
from lcfs.descriptions.counted import Report
from lcfs.reading import NetState
from lcfs.terminal import print_table
from lcfs.training.evaluation import Result
from theory.nearest_convolution import Match


def print_result(path: Path, config: TrainConfig, result: Result) -> None:
    """What a run ended with."""
    print(f"{path}: {config.architecture}, α = {config.base_channels}, {config.data}, {config.optimizer.name}")
    print(f"train error {100 * result.train_error:.2f} %, test accuracy {100 * result.test_accuracy:.2f} %")
    rows = [
        (name, f"{nonzeros:,}", f"{result.weights[name]:,}", f"{100 * nonzeros / result.weights[name]:.2f} %")
        for name, nonzeros in result.nonzeros.items()
    ]
    print_table(("layer", "non-zeros", "weights", "density"), rows)
    print_report(result.report)


def print_account(path: Path, state: NetState) -> None:
    """What was read of a file, and what was not."""
    at = f" under {state.key}" if state.key else ""
    print(f"{path}: {state.kind}, {len(state.tensors):,} tensors{at}")
    for left in state.left_out:
        print(f"  not read: {left.name or 'in general'}: {left.what}")
    if state.stubs:
        print(f"  classes that its pickle names, none of which was run: {', '.join(state.stubs[:5])}")


def print_report(report: Report) -> None:
    """Counts, description lengths and bounds of one net."""
    distinct = "very many" if report.distinct_values is None else f"{report.distinct_values:,}"
    print(
        f"{report.weights:,} numbers of {report.dense_bits:,} bits, {report.nonzeros:,} not zero, "
        f"{distinct} distinct non-zero values"
    )
    print(f"train error {report.train_error:.4f} on {report.samples:,} examples, δ = {report.delta:g}")
    bits = {language.name: language.bits for language in report.languages}
    rows = [
        (b.language, f"{bits[b.language]:,.0f}", b.bound, f"{b.value:.4f}", "vacuous" if b.vacuous else "")
        for b in report.bounds
    ]
    print_table(("language", "bits", "bound", "error at most", ""), rows)


def print_state(summary: StateSummary) -> None:
    """The tensors of a checkpoint."""
    rows = [
        (
            t.name,
            "×".join(map(str, t.shape)) or "scalar",
            t.values.type,
            t.role,
            f"{t.values.nonzeros:,}",
            f"{100 * t.values.nonzeros / t.values.count:.2f} %" if t.values.count else "",
            "" if t.values.distinct is None else f"{t.values.distinct:,}",
        )
        for t in summary.tensors
    ]
    print(f"{summary.weights:,} numbers of {summary.dense_bits:,} bits, {summary.nonzeros:,} not zero")
    print_table(("tensor", "shape", "type", "role", "non-zeros", "density", "distinct"), rows)


def print_first_layer(layer: FirstLayer) -> None:
    """Measures of the first layer's filters, and the convolution that it is nearest to."""
    units = len(layer.filters)
    print(f"{layer.name}: {units:,} filters, {layer.measured:,} measured, of {LEAST_NONZEROS} non-zeros or more")
    if layer.measures:
        rows = [(m.name, *(f"{value:.2f}" for value in (*m.quantiles, m.permuted))) for m in layer.measures]
        print_table(("of a filter", "10 %", "median", "90 %", "median, pixels permuted"), rows)
    match, permuted, convolution = layer.match, layer.permuted, layer.convolution
    if match is not None and permuted is not None and convolution is not None:
        kernel = "×".join(str(axis.kernel) for axis in convolution.axes)
        channels = len(match.templates)
        print(f"nearest convolution of {channels:,} channels {kernel}, modulo permutation, sign and scale of units:")
        rows = [
            (name, *(f"{value:.3f}" for value in (found.unexplained, found.coverage)), _needed(found))
            for name, found in (("as trained", match), ("pixels permuted", permuted))
        ]
        print_table(("", "energy left over", "slots held", "templates for 90 %, no slots"), rows)


def _needed(match: Match) -> str:
    needed = match.templates_needed()
    return f"more than {len(match.templates):,}" if needed is None else f"{needed:,}"
