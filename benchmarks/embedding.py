"""Embedding S-CONV's first layer at α = 150 as a 38,400 × 3,072 matrix: index arithmetic against the usual ways.

The alternatives are those of public converters: feed the unit vectors through torch's conv2d and collect the columns of
the dense matrix, or write the entries one by one in Python loops (timed on a few output channels and extrapolated).

Command: python -m benchmarks.embedding [--record FILE]. One thread, a process for each way,
CPU seconds.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

ALPHA, IMAGE, KERNEL, STRIDE, PADDING = 150, (3, 32, 32), 9, 2, 4
CHUNK = 128  # unit vectors fed at once; between 64 and all of them the time differs by less than its own noise
LOOP_CHANNELS = 3  # output channels that the loops are timed on


def _layer() -> Any:
    from theory.operators import Convolution

    return Convolution(IMAGE, ALPHA, KERNEL, STRIDE, PADDING)


def index_csr(weight: np.ndarray) -> Any:
    """Ours, sparse: geometry and numbers both built anew."""
    return _layer().csr(weight)


def index_dense(weight: np.ndarray) -> np.ndarray:
    """Ours, dense."""
    return _layer().matrix(weight)


def probe_dense(weight: np.ndarray) -> np.ndarray:
    """Columns of the matrix as the images of the unit vectors under torch's conv2d."""
    import torch
    from torch.nn import functional as F

    filters, pixels = torch.from_numpy(weight), int(np.prod(IMAGE))
    matrix = torch.empty(np.prod(_layer().out_image), pixels)
    for start in range(0, pixels, CHUNK):
        units = torch.eye(pixels)[start : start + CHUNK].view(-1, *IMAGE)
        matrix[:, start : start + CHUNK] = F.conv2d(units, filters, stride=STRIDE, padding=PADDING).flatten(1).T
    return matrix.numpy()


def probe_csr(weight: np.ndarray) -> Any:
    """The dense matrix by unit vectors, then its non-zeros."""
    from scipy import sparse

    return sparse.csr_array(probe_dense(weight))


def loop_csr(weight: np.ndarray) -> Any:
    """One entry after another, as triplets."""
    from scipy import sparse

    (channels, height, width), side = IMAGE, (IMAGE[1] + 2 * PADDING - KERNEL) // STRIDE + 1
    rows, columns, values = [], [], []
    for o in range(len(weight)):
        for i in range(side):
            for j in range(side):
                for c in range(channels):
                    for a in range(KERNEL):
                        for b in range(KERNEL):
                            y, x = i * STRIDE + a - PADDING, j * STRIDE + b - PADDING
                            if 0 <= y < height and 0 <= x < width:
                                rows.append((o * side + i) * side + j)
                                columns.append((c * height + y) * width + x)
                                values.append(weight[o, c, a, b])
    shape = (len(weight) * side * side, channels * height * width)
    return sparse.csr_array((np.array(values), (rows, columns)), shape=shape)


# way: function, output channels it is timed on, repetitions after one warm-up
WAYS: dict[str, tuple[Callable[[np.ndarray], Any], int, int]] = {
    "index arithmetic, CSR": (index_csr, ALPHA, 7),
    "unit vectors, CSR": (probe_csr, ALPHA, 3),
    "Python loops, CSR": (loop_csr, LOOP_CHANNELS, 1),
    "index arithmetic, dense": (index_dense, ALPHA, 3),
    "unit vectors, dense": (probe_dense, ALPHA, 3),
}


def measure(way: str) -> dict[str, Any]:
    """Median CPU seconds and peak growth of the resident memory, after the matrix has been checked on one image."""
    import torch

    torch.set_num_threads(1)
    function, channels, repetitions = WAYS[way]
    random = np.random.default_rng(0)
    weight = random.standard_normal((ALPHA, IMAGE[0], KERNEL, KERNEL)).astype(np.float32)[:channels]
    x = torch.from_numpy(random.standard_normal((1, *IMAGE)).astype(np.float32))
    expected = torch.nn.functional.conv2d(x, torch.from_numpy(weight), stride=STRIDE, padding=PADDING).numpy().ravel()
    _layer()  # imports what the ways need before memory is read
    seconds, peak, before = [], 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(repetitions + 1):
        begun = time.process_time()
        matrix = function(weight)
        seconds.append(time.process_time() - begun)
        peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # of the first call alone
        if not np.allclose(matrix @ x.numpy().ravel(), expected, atol=1e-4):
            raise RuntimeError(f"{way} built another matrix")
        dense = isinstance(matrix, np.ndarray)
        size = sum(part.nbytes for part in ([matrix] if dense else [matrix.data, matrix.indices, matrix.indptr]))
        del matrix
    scale = ALPHA / channels
    return {
        "way": way,
        "cpu_seconds": round(statistics.median(seconds[1:]) * scale, 4),
        "peak_memory_mib": round(peak / 2**10 * scale, 1),
        "matrix_mib": round(size / 2**20 * scale, 1),
        "extrapolated_from_channels": channels if channels < ALPHA else None,
    }


def main() -> None:
    """Measure each way in a process of its own, print them with their ratios to ours, optionally write a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    arguments = parser.parse_args()
    results = []
    for way in WAYS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results.append(pool.apply(measure, (way,)))
    for result in results:
        ours = next(r for r in results if r["way"] == "index arithmetic, " + result["way"].split(", ")[1])
        result["times_ours"] = round(result["cpu_seconds"] / ours["cpu_seconds"], 1)
        result["peak_over_matrix"] = round(result["peak_memory_mib"] / result["matrix_mib"], 2)
        print(json.dumps(result), flush=True)
    if arguments.record:
        with open(arguments.record, "w") as handle:
            handle.write(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
