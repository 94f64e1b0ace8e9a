"""Certificates of the package, from studies/records: bounds are rounded up, so that what is printed still holds."""

import json
from typing import Any

from number_tables.percent import percent
from studies.engine.records import RECORDS
from theory.verdicts import at_most


def certificates_table() -> str:
    """One row a certificate of studies/records/certificates.json."""
    lines = [
        "| net | images | bits | train error | Theorem 1 | Occam–binomial | images needed | test-set bound |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in json.loads((RECORDS / "certificates.json").read_text()):
        vacuous = " (vacuous)" if row["samples_needed"] else ""
        needed = f"{row['samples_needed']:,}" if row["samples_needed"] else "it has enough"
        lines.append(
            f"| {row['name']} | {row['images']:,} | {row['bits']:,} | {percent(row['train_error'])} "
            f"| {at_most(row['theorem1'])} | {at_most(row['occam_binomial'])}{vacuous} | {needed} "
            f"| {at_most(row['test_set_bound'])} |"
        )
    return "\n".join(lines)


def one_certificate() -> str:
    """The quantized net's certificate: what was counted, what follows, and what that assumes."""
    record = quantized_net()
    bound, images = record["bounds"], round(record["train_errors"] / record["train_error"])
    lines = [
        "| a small quantized net on CIFAR-10 | |",
        "|---|---|",
        f"| description | {record['bits']:,} bits, prefix-free, decodable by anyone |",
        f"| training images wrong | {record['train_errors']:,} of {images:,} ({percent(record['train_error'], 2)}) |",
        f"| error on new images, Theorem 1 as printed | at most {at_most(bound['theorem1'])} |",
        f"| error on new images, Occam–binomial | **at most {at_most(bound['occam_binomial'])}** |",
        f"| for comparison: test images wrong | {percent(record['test_error'], 2)} |",
        f"| δ | {record['delta']:g}: each bound fails for at most this share of training sets |",
        "| assumes | images drawn independently from one distribution, and a code that was fixed before them |",
        f"| cost | {record['cpu_seconds'] / 60:.0f} core-minutes, n = 1 |",
    ]
    return "\n".join(lines)


def quantized_net() -> dict[str, Any]:
    """The record of the small quantized net: its bits, errors, bounds and cost."""
    return json.loads((RECORDS / "quantized_certificate.json").read_text())
