"""The paper's values, as printed in its tables and as read off its figures; their sources stand in the files."""

import json
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data"


@cache
def tables() -> dict[str, Any]:
    """Tables 1 and 2, test accuracy in percent, and the radii of gyration of Figures 4 and 7 to 9, in pixels."""
    return json.loads((_DATA / "tables.json").read_text(encoding="utf-8"))


@cache
def digitised() -> dict[str, Any]:
    """Figures 3, 5 and 6: counts of weights and accuracies in percent."""
    return json.loads((_DATA / "digitised.json").read_text(encoding="utf-8"))
