"""The records of a grid, found by what was trained: by the fields of their configurations, not by their names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lcfs.config import TrainConfig
from studies.engine.configurations import differences
from studies.engine.records import Record
from studies.engine.study import Cell


def by_row(cells: Sequence[Cell], records: Iterable[Record]) -> dict[str, list[Record]]:
    """The finished runs of each row of a study's tables; a row without any is there, and empty.

    Args:
        cells: of one grid.
        records: of any runs, those of other grids included.
    """
    known = {_key(record.config): record for record in records if record.status == "finished"}
    rows: dict[str, list[Record]] = {}
    for cell in cells:
        record = known.get(_key(cell.config))
        rows.setdefault(cell.row, []).extend([record] if record else [])
    return rows


def _key(config: TrainConfig | Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(differences(config).items())
