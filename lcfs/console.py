"""What a person sees on the terminal: the live progress line and the tables."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lcfs.analysis import StateSummary
from lcfs.config import TrainConfig
from lcfs.descriptions import Report
from lcfs.first_layer import LEAST_NONZEROS, FirstLayer
from lcfs.results import Result
from lcfs.training import Progress
from theory.nearest_convolution import Match

_PLAIN_WIDTH = 10_000  # when the output is no terminal, tables must not be squeezed into 80 columns


class ProgressLine:
    """One line that is rewritten after each epoch; plain lines where standard output is no terminal."""

    def __init__(self) -> None:
        self._live = Live(console=Console(), auto_refresh=False, transient=False) if sys.stdout.isatty() else None

    def __enter__(self) -> "ProgressLine":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the line as it stands."""
        if self._live:
            self._live.stop()

    def show(self, p: Progress) -> None:
        """Show the state after an epoch."""
        minutes, seconds = divmod(round(p.seconds_left), 60)
        text = (
            f"epoch {p.epoch}/{p.epochs}  loss {p.loss:.4f}  accuracy {100 * p.accuracy:.2f} %  "
            f"non-zeros {p.nonzeros:,}  {minutes}:{seconds:02d} left"
        )
        if self._live:
            self._live.update(Text(text), refresh=True)
        else:
            print(text, flush=True)


class Percentage:
    """Progress of something that may take long, on standard error, once it has taken a second: called with a fraction
    in [0, 1], it rewrites one line, or, where standard error is no terminal, prints a line every ten seconds."""

    def __init__(self, what: str) -> None:
        self._what, self._terminal = what, sys.stderr.isatty()
        self._last = time.monotonic() + (1 if self._terminal else 10) - self._interval

    @property
    def _interval(self) -> float:
        return 0.1 if self._terminal else 10

    def __call__(self, fraction: float) -> None:
        if time.monotonic() - self._last >= self._interval:
            self._last = time.monotonic()
            end = ("\r" if fraction < 1 else "\n") if self._terminal else "\n"
            print(f"{self._what}: {fraction:.0%}", end=end, file=sys.stderr, flush=True)


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


def print_report(report: Report) -> None:
    """Counts, description lengths and bounds of one net."""
    print(
        f"{report.weights:,} numbers of {report.value_bits} bits, {report.nonzeros:,} not zero, "
        f"{report.distinct_values:,} distinct non-zero values"
    )
    print(f"train error {report.train_error:.4f} on {report.samples:,} examples, δ = {report.delta:g}")
    bits = {language.name: language.bits for language in report.languages}
    rows = [
        (b.language, f"{bits[b.language]:,.0f}", b.bound, f"{b.value:.4f}", "vacuous" if b.vacuous else "")
        for b in report.bounds
    ]
    print_table(("language", "bits", "bound", "error at most", ""), rows)


def print_state(path: Path, summary: StateSummary) -> None:
    """The tensors of a checkpoint."""
    rows = [
        (
            t.name,
            "×".join(map(str, t.shape)) or "scalar",
            str(t.dtype).removeprefix("torch."),
            t.role,
            f"{t.nonzeros:,}",
            f"{100 * t.nonzeros / t.count:.2f} %" if t.count else "",
            "" if t.distinct is None else f"{t.distinct:,}",
        )
        for t in summary.tensors
    ]
    print(f"{path}: {summary.weights:,} numbers of {summary.value_bits} bits, {summary.nonzeros:,} not zero")
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


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A plain table; numbers to the right."""
    table = Table(box=None, title=title, title_justify="left", pad_edge=False)
    for column, name in enumerate(header):
        numeric = all(row[column][:1].isdigit() or not row[column] for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)
    console.print(table)
