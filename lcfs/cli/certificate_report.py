"""A certificate on the terminal: what the bits were spent on, every bound, and what it would take."""

from collections import defaultdict
from pathlib import Path

from lcfs import data
from lcfs.certificates.certificate import Certificate, all_bounds
from lcfs.terminal import print_table
from theory import bounds


def print_certificate(path: Path, certificate: Certificate) -> None:
    """The net, its bill by item, its bounds, and beside them the bound from the test set."""
    c = certificate
    train, test = c.train, c.test
    print(f"{path}: {c.bits:,} bits in the language {c.language}")
    print(
        f"{c.train_errors:,} of {train.images:,} training images wrong ({_percent(c.train_errors / train.images)}), "
        f"{c.test_errors:,} of {test.images:,} test images ({_percent(c.test_errors / test.images)}); data {train.data}"
    )
    bill: dict[str, int] = defaultdict(int)
    for entry in c.ledger:
        bill[entry.item] += entry.bits
    print_table(("billed", "bits"), [(item, f"{bits:,}") for item, bits in bill.items()])
    level = 1 - 1 / data.facts(train.data).classes
    rows = []
    for language, bits in c.language_bits.items():
        values = all_bounds(c.train_errors, c.bits if language == c.language else bits, train.images, c.delta)
        marks = [f"{_percent(value)}{' vacuous' if value >= level else ''}" for value in values.values()]
        rows.append((f"{language}{' (the bits)' if language == c.language else ''}", f"{bits:,.0f}", *marks))
    header = ("language", "bits", *(name.replace("_", " ") for name in c.bounds))
    print_table(header, rows, f"with probability {1 - c.delta:g} the error is at most")
    held_out = bounds.test_set_bound(c.test_errors, test.images, c.delta)
    print(f"from the test set, whatever the net's description: {_percent(held_out)}")
    if c.bounds["occam_kl"] >= level:
        _print_vacuous(c, level)


def _print_vacuous(c: Certificate, level: float) -> None:
    """What it would take to do better than guessing, whose error is `level`."""
    error = c.train_errors / c.train.images
    print(f"vacuous: guessing is wrong {_percent(level)} of the time; ", end="")
    if error >= level:
        print("on the training images the net does no better")
        return
    needed = bounds.samples_needed(error, c.bits, level, c.delta)
    print("a description of this length and train error")
    print(f"would need {needed:,} training images to say more ({needed / c.train.images:,.1f} times as many)")


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"
