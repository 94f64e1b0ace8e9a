"""What the first layer looks at: Figure 4 with measures of locality, sharing and smoothness instead of impressions.

Claim: S-FC's filters trained by β-LASSO are local, those trained by SGD are not; S-LOCAL's, confined to 9×9 windows,
    are smaller still. Their units are local without being copies of few templates: no sharing is learned.
Paper item: Figures 4 and 7–9. Command: python -m studies.analyses.learned_filters RUN … --record studies/records
Hardware: any. Time: seconds a net of laptop size, two minutes for S-FC at α = 150.
Expected: radius of gyration (median, filters of 20 non-zeros or more) near the paper's 6.3 px for S-FC by β-LASSO on
    CIFAR-10 and 3.5 px for S-LOCAL, against 13.05 px of a random mask; ±1 px.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lcfs import data
from lcfs.analysis.first_layer import LEAST_NONZEROS, FirstLayer, first_layer
from lcfs.errors import InputError
from lcfs.reading import load_state
from lcfs.runs import Run
from lcfs.runs.atomic import write_text_atomically

SHOWN = 24


@dataclass(frozen=True)
class Learned:
    """The first layer of one run.

    measures: by name, 10 %, 50 % and 90 % quantiles over filters, and the median with the pixels permuted.
    unexplained, permuted_unexplained: energy that the nearest convolution leaves over; None but for FC nets.
    """

    name: str
    net: str
    base_channels: int
    optimizer: str
    beta: float
    epochs: int
    test_accuracy: float
    filters: int
    nonzeros: int
    measures: dict[str, tuple[float, float, float, float]]
    unexplained: float | None
    permuted_unexplained: float | None
    coverage: float | None
    templates_needed: int | None


def learned(run: Run) -> tuple[Learned, np.ndarray]:
    """(the measures, float16 `[SHOWN, height, width]` of the strongest filters with enough non-zeros, channels summed).

    Raises InputError for a run that has not finished.
    """
    config, summary = run.config(), run.summary() or {}
    if summary.get("status") != "finished":
        raise InputError(f"{run.path} has not finished; continue it with lcfs train --resume {run.path}")
    image = data.facts(config.data).image
    order = data.pixel_permutation(config.seed, image) if config.permute_pixels else None
    layer = first_layer(config.architecture, load_state(run.newest_checkpoint()), image, permutation=order)
    match, permuted = layer.match, layer.permuted
    measured = Learned(
        name=run.path.name,
        net=config.architecture,
        base_channels=config.base_channels,
        optimizer=config.optimizer.name,
        beta=config.optimizer.beta if config.optimizer.name == "beta-lasso" else 0.0,
        epochs=config.epochs,
        test_accuracy=summary["metrics"]["final/test_accuracy"],
        filters=len(layer.filters),
        nonzeros=int(np.count_nonzero(layer.filters)),
        measures={m.name: (*m.quantiles, m.permuted) for m in layer.measures},
        unexplained=match.unexplained if match else None,
        permuted_unexplained=permuted.unexplained if permuted else None,
        coverage=match.coverage if match else None,
        templates_needed=match.templates_needed() if match else None,
    )
    return measured, _strongest(layer)


def _strongest(layer: FirstLayer) -> np.ndarray:
    flat = layer.filters.reshape(len(layer.filters), -1)
    enough = np.count_nonzero(flat, axis=1) >= LEAST_NONZEROS
    order = np.argsort(-np.linalg.norm(flat, axis=1) * enough, kind="stable")[: min(SHOWN, int(enough.sum()))]
    images = layer.filters[order].sum(1)
    largest = np.abs(images).max((1, 2), keepdims=True)
    return (images / np.where(largest > 0, largest, 1)).astype(np.float16)


def main() -> None:
    """Measure runs, print a table, optionally write learned_filters.json and .npz."""
    from lcfs.terminal import print_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run directories")
    parser.add_argument("--record", type=Path, help="folder to write learned_filters.json and .npz to")
    arguments = parser.parse_args()
    layers = [learned(Run.open(path)) for path in arguments.runs]
    names = list(dict.fromkeys(name for row, _ in layers for name in row.measures))
    rows = [
        (name, *(f"{m[1]:.2f} ({m[3]:.2f})" if (m := row.measures.get(name)) else "" for row, _ in layers))
        for name in names
    ]
    left = [row for row, _ in layers]
    rows.append(
        (
            "energy no convolution explains",
            *(f"{r.unexplained:.3f} ({r.permuted_unexplained:.3f})" if r.unexplained is not None else "" for r in left),
        )
    )
    nets = (f"{row.net.upper()}, {row.optimizer}" for row in left)
    print_table(("median over filters (pixels permuted)", *nets), rows)
    if arguments.record:
        record: list[dict[str, Any]] = [asdict(row) for row, _ in layers]
        write_text_atomically(json.dumps(record, indent=1) + "\n", arguments.record / "learned_filters.json")
        shown: dict[str, Any] = {row.name: images for row, images in layers}
        np.savez_compressed(arguments.record / "learned_filters.npz", **shown)


if __name__ == "__main__":
    main()
