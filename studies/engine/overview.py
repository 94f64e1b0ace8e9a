"""Pictures that a study leaves beside its numbers: the filters of each run, and all runs in one glance."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

from lcfs import data
from lcfs.analysis import pictures
from lcfs.analysis.filter_images import filter_images
from lcfs.errors import InputError
from lcfs.runs import Run
from studies.engine.records import Record

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_MARKERS = "osD^v<>PX*"


def draw_filters(path: Path) -> Path | None:
    """The first layer's filters as RUN/artifacts/filters.png, unless the run has pictures or no checkpoint to read."""
    run, folder = Run.open(path), path / "artifacts"
    if any(folder.glob("*.png")) or not run.checkpoints():
        return None
    try:
        state = run.load_checkpoint()
    except InputError:  # nothing else of a study depends on it
        return None
    config = run.config()
    image = data.facts(config.data).image
    order = data.pixel_permutation(config.seed, image) if config.permute_pixels else None
    bank = filter_images((state or {})["model"], image, permutation=order)
    folder.mkdir(exist_ok=True)
    return pictures.filters({f"first layer of {path.name}, summed over channels": bank.sum(1)}, folder / "filters.png")


def draw(rows: Mapping[str, Sequence[Record]], launch: Path) -> Path | None:
    """Test accuracy against non-zeros, one point a run, one mark a row of the tables; None without runs."""
    if not rows:
        return None
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for i, (row, records) in enumerate(rows.items()):
        nonzeros = [record.metrics["final/nonzeros"] for record in records]
        accuracy = [100 * record.metrics["final/test_accuracy"] for record in records]
        axis.plot(nonzeros, accuracy, _MARKERS[i % len(_MARKERS)], label=row, alpha=0.8)
    axis.set(xlabel="non-zero weights", ylabel="test accuracy, %", xscale="log")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    path = launch / "artifacts" / "accuracy_against_nonzeros.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path
