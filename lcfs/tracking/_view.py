"""The view of a study in MLflow's pages: which columns and charts it opens with.

A view is an experiment's tag `mlflow.sharedViewState.KEY` and opens with ?viewStateShareKey=KEY. Its value is the JSON
of the state of MLflow's page; later versions wrap it with a name and list it under "Views". Ours is both in one, short
enough for the 5,000 characters that MLflow took at first.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

KEY = "lcfs"
TAG = f"mlflow.sharedViewState.{KEY}"

CELLS = "tags.`lcfs.kind` = 'cell'"
"""MLflow's filter of the runs of a study without its launches."""

_ACCURACY = "final/test_accuracy"
_COLUMNS = (_ACCURACY, "final/train_error", "final/nonzeros", "bits/best")
_RUNS = 100  # in one chart at most


def view(cells: Sequence[Mapping[str, str]], created_ms: int) -> str:
    """The tag's value for a study whose cells have these parameters."""
    metrics = [f"metrics.`{name}`" for name in _COLUMNS]
    swept = _swept(cells)
    columns = [*metrics, *(f"params.`{name}`" for name in swept)]
    sections = [("parallel", "parallel coordinates", 1), ("study", "the study", 2)]
    fields = [name for name in swept if name != "seed"]
    # MLflow leaves out the runs that lack one of the fields, as SGD's lack β; every run has a row of the table.
    complete = all(name in cell for cell in cells for name in fields)
    axes = [fields, ["row"]] if complete else [["row"], fields]
    state = {
        "searchFilter": CELLS,
        "orderByKey": metrics[0],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": dict.fromkeys(columns, 110),
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [{"deleted": False, "runsCountToCompare": _RUNS, **card} for card in _cards(axes)],
        "compareRunSections": [
            {"uuid": uuid, "name": name, "display": True, "isReordered": True, "columns": count}
            for uuid, name, count in sections
        ],
        "isAccordionReordered": True,
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps({"name": "the study", "createdAt": created_ms, "state": f"deflate;{packed}", **state})


def _swept(cells: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of the fields that take several values, in the order of the cell that has most."""
    values: dict[str, set[str]] = {}
    for cell in sorted(cells, key=len, reverse=True):
        for name, value in cell.items():
            values.setdefault(name, set()).add(value)
    return [name for name, taken in values.items() if len(taken) > 1 and name != "row"]


def _cards(parallel: Sequence[Sequence[str]]) -> Iterable[dict[str, Any]]:
    """Parallel coordinates, accuracy against length, final values as bars, and the course of training."""
    metrics = ["final/nonzeros", "bits/best", _ACCURACY]
    for number, fields in enumerate(parallel):
        card = {"selectedParams": fields, "selectedMetrics": metrics, "showAllRuns": True}
        yield {"type": "PARALLEL", "uuid": f"lcfs-parallel-{number}", "metricSectionId": "parallel", **card}
    axes = {"xaxis": {"key": "bits/best", "type": "METRIC"}, "yaxis": {"key": _ACCURACY, "type": "METRIC"}}
    yield {"type": "SCATTER", "uuid": "lcfs-scatter", "metricSectionId": "study", **axes}
    for number, (kind, name) in enumerate((("BAR", _ACCURACY), ("BAR", "final/nonzeros"), ("LINE", "train/loss"))):
        card = {"metricKey": name, "selectedMetricKeys": [name]} if kind == "LINE" else {"metricKey": name}
        yield {"type": kind, "uuid": f"lcfs-{number}", "metricSectionId": "study", **card}
