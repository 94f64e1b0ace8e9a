"""Reading a checkpoint of 1 GiB: what `lcfs bound` computes from it, against torch.load and numpy.

Command: python -m benchmarks.reading [--record FILE] [--log2-weights N] [--threads T]. One process for each way, the
least of three; `times_numpy` is against torch.load and np.count_nonzero, which does the least that any description
needs, and `times_unique` against np.unique of the non-zero weights, which is what different values cost otherwise.
Memory is the process's peak, torch itself (some 0.2 GiB) included; `beside_file` is that less torch and the file.
Seconds of the processor are those of all threads: of two cores to oneself, half of them is what one waits.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLUMNS, DENSITY = 1 << 14, 0.5
REPEATS = 3
KINDS = ("float32", "pruned", "bfloat16")


def make(path: Path, kind: str, log2_weights: int) -> None:
    """One matrix: normal float32, the same with half of it zero, or normal bfloat16."""
    import torch

    torch.manual_seed(0)
    weight = torch.randn(max(2**log2_weights // COLUMNS, 1), min(COLUMNS, 2**log2_weights))
    if kind == "pruned":
        weight *= torch.rand_like(weight) < DENSITY
    torch.save({"weight": weight.bfloat16() if kind == "bfloat16" else weight}, path)


def numpy_count(path: Path) -> int:
    """The least: the whole file into memory, then one pass of numpy."""
    return sum(_nonzero(array) for array in _arrays(path))


def numpy_unique(path: Path) -> int:
    """The same and the different values."""
    import numpy as np

    count = 0
    for array in _arrays(path):
        values, counts = np.unique(array[array != 0], return_counts=True)
        count += int(counts.sum()) if len(values) else 0
    return count


def lcfs_count(path: Path) -> int:
    """Counts by tensor and row, the check for NaN, and the length of the support in two languages."""
    from lcfs.analysis.counts import summarize_state
    from lcfs.reading import load_state

    return summarize_state(load_state(path), distinct=False).nonzeros


def lcfs_bound(path: Path) -> int:
    """All that a bound needs: different values and their occurrences too, and the file's checksums."""
    from lcfs.analysis.counts import summarize_state
    from lcfs.reading import load_state

    return summarize_state(load_state(path)).nonzeros


WAYS = (numpy_count, numpy_unique, lcfs_count, lcfs_bound)


def measure(way: Callable[[Path], int], path: Path, repeats: int) -> dict[str, Any]:
    """Time and peak memory of one way in this process."""
    import torch

    torch.set_num_threads(1)
    way(path.with_suffix(".small"))  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds, processor = [], []
    for _ in range(repeats):
        begun, busy = time.perf_counter(), time.process_time()
        nonzeros = way(path)
        seconds.append(time.perf_counter() - begun)
        processor.append(time.process_time() - busy)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "way": way.__name__,
        "nonzeros": nonzeros,
        "seconds": round(min(seconds), 3),
        "processor_seconds": round(min(processor), 3),
        "peak_gib": round(peak, 2),
        "beside_file": round(peak - before - path.stat().st_size / 2**30, 2),
    }


def main() -> None:
    """Measure each way in a process of its own, print one JSON object a line, optionally write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    parser.add_argument("--log2-weights", type=int, default=28)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for kind in arguments.kinds:
        results += _compare(kind, arguments.log2_weights, arguments.repeats)
    if arguments.record:
        Path(arguments.record).write_text(json.dumps(results, indent=1) + "\n")


def _compare(kind: str, log2_weights: int, repeats: int) -> list[dict[str, Any]]:
    spawn = multiprocessing.get_context("spawn")
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.pt"
        with spawn.Pool(1) as pool:
            pool.apply(make, (path, kind, log2_weights))
            pool.apply(make, (path.with_suffix(".small"), kind, 4))
        for way in WAYS:
            with spawn.Pool(1) as pool:
                found = pool.apply(measure, (way, path, repeats))
            least = results[0] if results else found
            unique = results[1] if len(results) > 1 else None
            assert found["nonzeros"] == least["nonzeros"], "the ways must agree"
            ratios = {
                "kind": kind,
                "cores": os.cpu_count(),
                "weights_a_second": round(2**log2_weights / found["seconds"]),
                "weights_a_processor_second": round(2**log2_weights / found["processor_seconds"]),
                "times_numpy": round(found["processor_seconds"] / least["processor_seconds"], 2),
                "times_unique": round(found["processor_seconds"] / unique["processor_seconds"], 2) if unique else None,
            }
            results.append({**found, **ratios})
            print(json.dumps(results[-1]), flush=True)
    return results


def _arrays(path: Path) -> list[Any]:
    import torch

    tensors = torch.load(path, weights_only=True).values()
    return [t.view(torch.int16).numpy() if t.dtype == torch.bfloat16 else t.numpy() for t in tensors]


def _nonzero(array: Any) -> int:
    import numpy as np

    return int(np.count_nonzero(array))


if __name__ == "__main__":
    main()
