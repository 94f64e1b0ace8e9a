"""Counts, lengths and bounds of a net on the terminal, ending in one verdict; numbers are rounded outward."""

import math
from collections.abc import Sequence
from pathlib import Path

from lcfs.descriptions.counted import Report
from lcfs.descriptions.outlook import VALUE_BITS, outlook
from lcfs.reading import NetState
from lcfs.terminal import print_table, printable, say

_HEADER = ("language", "bits", "Theorem 1, 2", "Hoeffding", "kl", "binomial")
_MOST_NAMED = 8
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def print_account(path: Path, state: NetState) -> None:
    """What was read of a file, and what was not."""
    at = f" under {printable(state.key)}" if state.key else ""
    print(f"{printable(str(path))}: {state.kind}, {len(state.tensors):,} tensors{at}")
    for left in state.left_out[:_MOST_NAMED]:
        print(printable(f"  not read: {f'{left.name}: ' if left.name else ''}{left.what}"))
    if len(state.left_out) > _MOST_NAMED:
        print(f"  not read: {len(state.left_out) - _MOST_NAMED:,} more, which --json lists")
    if state.stubs:
        names = ", ".join(state.stubs[:_MOST_NAMED])
        print(printable(f"  classes that its pickle names, none of them run: {names}"))


def print_assumptions(sentences: Sequence[str]) -> None:
    """What was put together or taken for the same, and what the length takes for granted."""
    for sentence in sentences[:_MOST_NAMED]:
        print(printable(f"  {sentence}"))
    if len(sentences) > _MOST_NAMED:
        print(f"  {len(sentences) - _MOST_NAMED:,} more of these, which --json lists")


def print_report(report: Report) -> None:
    """Counts, a row for each language, and the verdict."""
    different = "very many" if report.distinct_values is None else f"{report.distinct_values:,}"
    print(f"{report.weights:,} numbers, {report.nonzeros:,} not zero, {different} different values")
    rows = []
    for language in report.languages:
        values = [f"{up(bound.value)}" for bound in report.bounds if bound.language == language.name]
        rows.append((language.name, f"{math.ceil(language.bits):,}", *values))
    title = (
        f"error at most, with probability {1 - report.delta:g}; {report.errors:,} of {report.samples:,} examples wrong"
    )
    print_table(_HEADER, rows, title)
    print_verdict(report)


def print_verdict(report: Report) -> None:
    """The best bound or how far off it is, what pruning would do, and what is assumed."""
    ahead = outlook(report)
    if report.verdict.vacuous:
        say(verdict_line(report))
        if ahead.bits_allowed:
            print(
                f"at {report.samples:,} examples at most {size(ahead.bits_allowed, down=True)} say more: "
                f"what if pruned to {ahead.weights_allowed:,} weights of {VALUE_BITS} bits, with as few errors?"
            )
    else:
        say(verdict_line(report))
        if ahead.halved_bits < report.bits:
            print(
                f"what if half as many weights, of {VALUE_BITS} bits, made as few errors: {size(ahead.halved_bits)}, "
                f"error at most {up(ahead.halved_bound)}"
            )
    fixed = "names and types" if report.shape_bits else "names, types and shapes"
    print(f"with probability {1 - report.delta:g}, for independent examples and {fixed} of tensors fixed before them")


def verdict_line(report: Report) -> str:
    """The shortest length, and the best bound from it or how far off it is."""
    verdict = report.verdict
    if verdict.vacuous:
        return f"{size(report.bits)}: vacuous, {_until(report)}"
    guessing = f" (guessing: {verdict.guessing:.4g})" if verdict.guessing < 1 else ""
    return f"{size(report.bits)}: error at most {up(verdict.bound)}{guessing}, δ = {report.delta:g}"


def print_held_out(bound: float, delta: float) -> None:
    """The bound from examples that were held out, beside which a description has to stand."""
    print(
        f"from the held-out examples alone, whatever the net's description: error at most {up(bound)}, "
        f"with probability {1 - delta:g}"
    )


def _until(report: Report) -> str:
    verdict = report.verdict
    if verdict.samples_needed == math.inf:
        return "and on its training examples the net does no better than guessing"
    words = "no better than guessing" if verdict.guessing < 1 else "saying nothing"
    return f"{words} until {about(int(verdict.samples_needed))} examples"


def up(share: float) -> str:
    """Four decimals, rounded up."""
    return f"{min(math.ceil(share * 1e4 - 1e-9) / 1e4, 1.0):.4f}"


def size(bits: float, *, down: bool = False) -> str:
    """Bits with three digits and a prefix, rounded up, or down where it is a limit.

    >>> size(416_234_567), size(166_092.9, down=True), size(12.3)
    ('417 Mbit', '166 kbit', '13 bits')
    """
    for unit, name in ((1e9, "Gbit"), (1e6, "Mbit"), (1e3, "kbit")):
        if bits >= unit:
            step = 10 ** (math.floor(math.log10(bits / unit)) - 2)
            steps = math.floor(bits / unit / step + 1e-9) if down else math.ceil(bits / unit / step - 1e-9)
            return f"{steps * step:.3g} {name}"
    return f"{math.floor(bits) if down else math.ceil(bits):,} bits"


def about(number: int) -> str:
    """A number, from a million on rounded up to one digit times a power of ten.

    >>> about(50_006), about(512_345_678)
    ('50,006', '6·10⁸')
    """
    if number < 1_000_000:
        return f"{number:,}"
    power = len(str(number)) - 1
    digit = -(-number // 10**power)
    if digit == 10:
        digit, power = 1, power + 1
    return f"{digit}·10{str(power).translate(_SUPERSCRIPTS)}"
