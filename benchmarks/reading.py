"""Reading a checkpoint of 1 GiB: what `lcfs bound` computes from it, against torch.load and numpy's count_nonzero.

Command: python -m benchmarks.reading [--record FILE]. One process and one thread for each way, the least of three;
memory is the process's peak, torch itself (some 0.2 GiB) included. Distinct values are counted exactly, by themselves.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROWS, COLUMNS, DENSITY = 1 << 14, 1 << 14, 0.5
REPEATS = 3


def make(path: Path) -> None:
    """One float32 matrix of 2²⁸ weights, half of them zero."""
    import torch

    torch.manual_seed(0)
    weight = torch.randn(ROWS, COLUMNS)
    torch.save({"weight": weight * (torch.rand(ROWS, COLUMNS) < DENSITY)}, path)


def numpy_count(path: Path) -> int:
    """The honest alternative: the whole file into memory, then one pass of numpy."""
    import numpy as np
    import torch

    return sum(int(np.count_nonzero(t.numpy())) for t in torch.load(path, weights_only=True).values())


def lcfs_count(path: Path) -> int:
    """Counts by tensor and row, the check for NaN, and the length of the support in two languages."""
    from lcfs.analysis.counts import summarize_state
    from lcfs.reading import load_state

    return summarize_state(load_state(path), distinct=False).nonzeros


def lcfs_distinct(path: Path) -> int:
    """The same and the distinct values with their occurrences."""
    from lcfs.analysis.counts import summarize_state
    from lcfs.reading import load_state

    return summarize_state(load_state(path)).nonzeros


WAYS = (numpy_count, lcfs_count, lcfs_distinct)


def measure(way: Callable[[Path], int], path: Path) -> dict[str, Any]:
    """Time and peak memory of one way in this process."""
    import torch

    torch.set_num_threads(1)
    way(path.with_suffix(".small"))  # imports
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        nonzeros = way(path)
        seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"way": way.__name__, "nonzeros": nonzeros, "seconds": round(min(seconds), 3), "peak_gib": round(peak, 2)}


def main() -> None:
    """Measure each way in a process of its own, print one JSON object a line, optionally write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.pt"
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(1) as pool:
            pool.apply(make, (path,))
            pool.apply(_make_small, (path.with_suffix(".small"),))
        size = path.stat().st_size / 2**30
        for way in WAYS:
            with spawn.Pool(1) as pool:
                found = pool.apply(measure, (way, path))
            against = results[0] if results else found
            assert found["nonzeros"] == against["nonzeros"], "the ways must agree"
            ratios = {
                "times_numpy": round(found["seconds"] / against["seconds"], 2),
                "peak_over_file": round(found["peak_gib"] / size, 2),
            }
            results.append({**found, **ratios})
            print(json.dumps(results[-1]), flush=True)
    if arguments.record:
        Path(arguments.record).write_text(json.dumps(results, indent=1) + "\n")


def _make_small(path: Path) -> None:
    import torch

    torch.save({"weight": torch.ones(4, 4)}, path)


if __name__ == "__main__":
    main()
