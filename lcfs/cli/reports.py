"""What a person sees on the terminal of a run, its description and its first layer."""

import math
from pathlib import Path

from lcfs.analysis.counts import StateSummary
from lcfs.analysis.first_layer import LEAST_NONZEROS, FirstLayer
from lcfs.analysis.geometry import InputMap
from lcfs.cli.bound_report import verdict_line
from lcfs.descriptions.counted import tensor_bits
from lcfs.terminal import print_table, printable, say
from lcfs.training.evaluation import Result
from theory.nearest_convolution import Match


def print_result(path: Path, result: Result) -> None:
    """What a run ended with in three lines, and what to do next."""
    kept, weights = sum(result.nonzeros.values()), sum(result.weights.values())
    layers = ", ".join(f"{name} {_share(count, result.weights[name])}" for name, count in result.nonzeros.items())
    say(f"test accuracy {100 * result.test_accuracy:.2f} %, train error {100 * result.train_error:.2f} %")
    say(f"{kept:,} of {weights:,} weights are not zero ({_share(kept, weights)}: {layers})")
    say(f"shortest description {verdict_line(result.report)}")
    say(f"next: lcfs inspect {path}; lcfs certify {path} -o {path / 'net.cert'}")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %"


def print_state(summary: StateSummary) -> None:
    """The tensors of a checkpoint: what each is, and what it costs."""
    whole = sum(map(tensor_bits, summary.tensors))
    rows = [
        (
            t.name,
            "×".join(map(str, t.shape)) or "scalar",
            t.values.type,
            f"{t.values.nonzeros:,}",
            f"{100 * t.values.nonzeros / t.values.count:.2f} %" if t.values.count else "",
            "" if t.values.distinct is None else f"{t.values.distinct:,}",
            f"{tensor_bits(t):,.0f}",
            f"{100 * tensor_bits(t) / whole:.1f} %" if whole else "",
        )
        for t in summary.tensors
    ]
    print(f"{summary.weights:,} numbers, {summary.nonzeros:,} not zero; {whole:,.0f} bits tensor by tensor")
    print_table(("tensor", "shape", "type", "non-zeros", "density", "different", "bits", "of all"), rows)
    if whole:
        dearest = max(summary.tensors, key=tensor_bits)
        print(f"{printable(dearest.name)} pays most: {100 * tensor_bits(dearest) / whole:.1f} % of the bits")


def print_first_layer(layer: FirstLayer) -> None:
    """Measures of the first layer's filters, and the convolution that it is nearest to."""
    units = len(layer.filters)
    least = LEAST_NONZEROS[1 if layer.filters.shape[-2] == 1 else 2]
    print(f"{layer.name}: {units:,} filters, {layer.measured:,} measured, of {least} non-zeros or more")
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


def print_input_map(places: InputMap) -> None:
    """How much of the true neighbourhood of the inputs the masks of the first layer keep, and rivals."""
    print(f"where the inputs lie, by how often two feed the same of {places.units:,} units; true neighbours kept:")
    plain = "no data here" if math.isnan(places.correlations) else f"{places.correlations:.1%}"
    shuffled = f"{places.shuffled:.1%} ± {places.deviation:.1%}"
    rows = [(f"{places.kept:.1%}", shuffled, plain, f"{places.chance:.1%}")]
    print_table(("by the masks", "shuffled masks", "correlations", "chance"), rows)


def _needed(match: Match) -> str:
    needed = match.templates_needed()
    return f"more than {len(match.templates):,}" if needed is None else f"{needed:,}"
