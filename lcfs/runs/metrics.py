"""Reading of metrics.jsonl: whole records, whatever a kill or a stray hand has left among its lines."""

import json
from pathlib import Path
from typing import Any


def read_records(file: Path) -> list[dict[str, Any]]:
    """The records of metrics.jsonl in the order written; a line that is none is left out, a missing file is empty.

    A record is a JSON object with an integer `epoch` from 0, whose other values are numbers (or null).
    """
    if not file.exists():
        return []
    records = []
    for line in file.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:  # torn by a kill, or not in UTF-8
            continue
        if _is_record(record):
            records.append(record)
    return records


def _is_record(value: Any) -> bool:
    if not isinstance(value, dict) or type(value.get("epoch")) is not int or value["epoch"] < 0:
        return False
    return all(isinstance(number, int | float | None) for number in value.values())
