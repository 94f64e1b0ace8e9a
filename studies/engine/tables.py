"""Tables that several studies print."""

from collections.abc import Mapping, Sequence

from studies.engine.records import Record, estimate
from studies.engine.study import Table


def accuracy_table(records: Mapping[str, Sequence[Record]]) -> list[Table]:
    """Errors, non-zeros and description length of each row, mean ± standard error over its runs."""
    header = ("net", "n", "test accuracy %", "train error %", "weights", "non-zeros", "in layer 1", "bits")
    rows = []
    for row, runs in records.items():
        metrics = [run.metrics for run in runs]
        first = next(key for key in metrics[0] if key.startswith("final/nonzeros/"))
        rows.append(
            (
                row,
                str(len(runs)),
                f"{estimate(100 * m['final/test_accuracy'] for m in metrics):.2f}",
                f"{estimate(100 * m['final/train_error'] for m in metrics):.2f}",
                f"{metrics[0]['final/weights']:,}",
                f"{estimate(m['final/nonzeros'] for m in metrics).mean:,.0f}",
                f"{estimate(m[first] for m in metrics).mean:,.0f}",
                f"{estimate(m['bits/best'] for m in metrics).mean:,.0f}",
            )
        )
    return [Table("mean ± standard error over n seeds", header, tuple(rows))]
