"""A certificate on the terminal: what the bits were spent on, every bound, what it assumes, and what it would take."""

import math
from collections import defaultdict
from dataclasses import astuple, fields
from pathlib import Path

from lcfs.certificates.certificate import Certificate
from lcfs.certificates.evidence import Sample
from lcfs.terminal import print_table
from theory import bounds
from theory.verdicts import Bounds, Verdict, all_bounds, at_most


def print_certificate(path: Path, certificate: Certificate) -> None:
    """The net, its bill by item, its bounds, and beside them the bound from the test set."""
    c = certificate
    train, test = c.train, c.test
    print(f"{path}: {c.bits:,} bits in the language {c.language}")
    print(
        f"{c.train_errors:,} of {train.images:,} training images wrong ({_percent(c.train_errors / train.images)}), "
        f"{c.test_errors:,} of {test.images:,} test images ({_percent(c.test_errors / test.images)})"
    )
    for sample in (train, test):
        print(_named(sample))
    bill: dict[str, int] = defaultdict(int)
    for entry in c.ledger:
        bill[entry.item] += entry.bits
    print_table(("billed", "bits"), [(item, f"{bits:,}") for item, bits in bill.items()])
    verdict = c.verdict()
    rows = []
    for language, bits in c.language_bits.items():
        values = all_bounds(c.train_errors, bits, train.images, c.delta)
        mark = "vacuous" if values.tightest >= verdict.guessing else ""
        name = f"{language} (the bits)" if language == c.language else language
        rows.append((name, f"{bits:,}", *map(at_most, astuple(values)), mark))
    header = ("language", "bits", *(field.name.replace("_", " ") for field in fields(Bounds)), "")
    print_table(header, rows, f"with probability at least {1 - c.delta:g} (δ = {c.delta:g}) the error is at most")
    _print_assumptions(c)
    if verdict.vacuous:
        _print_vacuous(c, verdict)


def _named(sample: Sample) -> str:
    """Which images a sample is, and whether anybody else's of that name are the same."""
    known = "as known" if sample.pinned else "not compared: no sha256 of these images is known here"
    return f"{sample.data} {sample.split}, {sample.images:,} images, sha256 {sample.sha256} ({known})"


def _print_assumptions(c: Certificate) -> None:
    """What has to be true beside the numbers."""
    print(
        f"assumed: the training images were drawn independently from one distribution, and code and δ = {c.delta:g} "
        "were fixed before anyone looked at them"
    )
    held_out = bounds.test_set_bound(c.test_errors, c.test.images, c.delta)
    print(
        f"from the test set: at most {at_most(held_out)} with probability at least {1 - c.delta:g}, whatever the "
        "description, provided that the test set played no part in training or in choosing the net"
    )


def _print_vacuous(c: Certificate, verdict: Verdict) -> None:
    """What it would take to do better than guessing."""
    print(f"vacuous: guessing is wrong {_percent(verdict.guessing)} of the time; ", end="")
    if verdict.samples_needed == math.inf:
        print("on the training images the net does no better")
        return
    needed = int(verdict.samples_needed)
    print("a description of this length and train error")
    print(f"would need {needed:,} training images to say more ({needed / c.train.images:,.1f} times as many)")


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
