"""Write the README's numbers from the run records: python scripts/readme_numbers.py [--check]."""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def cifar10_table() -> str:
    """One row a record of studies/records/cifar10."""
    lines = [
        "| net, α | optimizer | epochs | train error % | test accuracy % | non-zeros per layer | weights |",
        "|---|---|---|---|---|---|---|",
    ]
    paths = (ROOT / "studies" / "records" / "cifar10").glob("*.json")
    records = [json.loads(path.read_text()) for path in paths]
    for record in sorted(records, key=_order):
        config, metrics = record["config"], record["summary"]["metrics"]
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
    for row in json.loads((ROOT / "benchmarks" / "records" / "size.json").read_text()):
        lines.append(
            f"| {row['net'].upper()}, {row['base_channels']} | {row['weights']:,} | {row['seconds_per_step']:.1f} "
            f"| {row['peak_memory_gib']:.2f} GiB |"
        )
    return "\n".join(lines)


def fill(text: str) -> str:
    """The README with both tables written anew."""
    for name, table in (("cifar10", cifar10_table()), ("size", size_table())):
        marked = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = marked.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
    return text


def _order(record: dict[str, Any]) -> tuple[int, bool]:
    config = record["config"]
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
