"""Write the numbers of README and docs from the run records: python scripts/write_numbers.py [--check].

A place is marked by the lines `<!-- name -->` and `<!-- /name -->`; what stands between them is replaced by what the
function of that name in `PLACES` makes of the records.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from number_tables import answer, certified, first_layers, measured, trained

ROOT = Path(__file__).resolve().parent.parent
PLACES: dict[str, Callable[[], str]] = {
    "answer": answer.answer,
    "headline": trained.headline,
    "signals": trained.signals_section,
    "table1": trained.table1,
    "table2": trained.table2,
    "findings": trained.findings,
    "cifar10": trained.cifar10_table,
    "locality": first_layers.locality_table,
    "certificate": certified.one_certificate,
    "certificates": certified.certificates_table,
    "size": measured.size_table,
    "update": measured.update_table,
    "sparse": measured.sparse_table,
    "epoch": measured.epoch_table,
    "embedding": measured.embedding_table,
}
_PLACE = re.compile(r"^<!-- ([a-z0-9]+) -->\n.*?^<!-- /\1 -->$", re.DOTALL | re.MULTILINE)


def pages() -> Iterator[Path]:
    """The files that have such places."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def fill(text: str) -> str:
    """The text with every marked place written anew. Raises KeyError for a place that no function writes."""
    return _PLACE.sub(_written, text)


def _written(place: re.Match[str]) -> str:
    return f"<!-- {place[1]} -->\n{PLACES[place[1]]()}\n<!-- /{place[1]} -->"


def main() -> None:
    """Rewrite all pages, or with --check fail if one is not what the records say."""
    for path in pages():
        before = path.read_text()
        after = fill(before)
        if before == after:
            continue
        if "--check" in sys.argv:
            sys.exit(f"{path.relative_to(ROOT)} does not match the records; run python scripts/write_numbers.py")
        path.write_text(after)


if __name__ == "__main__":
    main()
