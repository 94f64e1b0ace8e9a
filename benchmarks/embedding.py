"""Embedding convolutions as matrices: lcfs against the usual ways, for one large layer and for a whole net.

The layer is the first of S-CONV at α = 150, a 38,400 × 3,072 matrix; the net is D-CONV at α = 15, eight convolutions.
The usual ways are those of public converters: feed the unit vectors through torch's conv2d and collect the columns of
the dense matrix, or write the entries one by one in Python loops (timed on a few output channels and extrapolated).

Command: python -m benchmarks.embedding [--record FILE]. One thread, a process for each way, CPU seconds.
"""

import argparse
import json
import math
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

CHUNK = 128  # unit vectors fed at once; between 64 and all of them the time differs by less than its own noise


@dataclass(frozen=True)
class Layer:
    """A k×k convolution with padding k // 2 on images of this shape."""

    image: tuple[int, int, int]
    outputs: int
    kernel: int
    stride: int

    @property
    def out_image(self) -> tuple[int, int, int]:
        """(outputs, rows, columns)."""
        sides = [(side + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1 for side in self.image[1:]]
        return self.outputs, sides[0], sides[1]

    def weight(self, random: np.random.Generator) -> np.ndarray:
        """Gaussian filters, as large as those of a trained net."""
        fan_in = self.image[0] * self.kernel**2
        shape = (self.outputs, self.image[0], self.kernel, self.kernel)
        return (random.standard_normal(shape) / math.sqrt(fan_in)).astype(np.float32)

    def convolve(self, x: Any, weight: np.ndarray) -> Any:
        """torch's own output, `[batch, units]`."""
        import torch
        from torch.nn import functional as F

        return F.conv2d(x, torch.from_numpy(weight), stride=self.stride, padding=self.kernel // 2).flatten(1)


Weights = list[tuple[Layer, np.ndarray]]


def layers_of(subject: str) -> list[Layer]:
    """The convolutions of a subject."""
    from lcfs.nets.convolutions import convolutions

    name, alpha, count = {"S-CONV layer 1": ("s-conv", 150, 1), "D-CONV": ("d-conv", 15, 8)}[subject]
    image, layers = (3, 32, 32), []
    for row in convolutions(name)[:count]:
        layers.append(Layer(image, row.channels * alpha, row.kernel, row.stride))
        image = layers[-1].out_image
    return layers


def _convolution(layer: Layer) -> Any:
    from theory.operators import Convolution

    return Convolution(layer.image, layer.outputs, layer.kernel, layer.stride, layer.kernel // 2)


def index_csr(layers: Weights) -> list[Any]:
    """Ours, sparse: geometry and numbers both built anew."""
    return [_convolution(layer).csr(weight) for layer, weight in layers]


def index_dense(layers: Weights) -> list[np.ndarray]:
    """Ours, dense."""
    return [_convolution(layer).matrix(weight) for layer, weight in layers]


def embed(layers: Weights, *, sparse: bool) -> list[Any]:
    """lcfs.embed of the whole D-CONV, traced and checked, BatchNorm and linear layers too."""
    import torch

    import lcfs

    net = lcfs.build("d-conv", base_channels=layers[0][0].outputs).eval()
    names = [f"conv{i}" for i in range(1, len(layers) + 1)]
    for name, (_, weight) in zip(names, layers, strict=True):
        net.get_parameter(f"{name}.weight").data = torch.from_numpy(weight)
    embedded = lcfs.embed(net, "fc", layers[0][0].image, sparse=sparse)
    return [embedded.get_submodule(name).weight for name in names]


def probe_dense(layers: Weights) -> list[np.ndarray]:
    """Columns of the matrix as the images of the unit vectors under torch's conv2d."""
    import torch

    matrices = []
    for layer, weight in layers:
        pixels = math.prod(layer.image)
        matrix = torch.empty(math.prod(layer.out_image), pixels)
        for start in range(0, pixels, CHUNK):
            here = torch.arange(start, min(start + CHUNK, pixels))
            units = torch.zeros(len(here), pixels)
            units[here - start, here] = 1
            matrix[:, start : start + CHUNK] = layer.convolve(units.view(-1, *layer.image), weight).T
        matrices.append(matrix.numpy())
    return matrices


def probe_csr(layers: Weights) -> list[Any]:
    """The dense matrices by unit vectors, one after the other, then their non-zeros."""
    from scipy import sparse

    return [sparse.csr_array(probe_dense([each])[0]) for each in layers]


def loop_csr(layers: Weights) -> list[Any]:
    """One entry after another, as triplets."""
    from scipy import sparse

    matrices = []
    for layer, weight in layers:
        (channels, height, width), (outputs, out_height, out_width) = layer.image, layer.out_image
        k, rows, columns, values = layer.kernel, [], [], []
        for o in range(outputs):
            for i in range(out_height):
                for j in range(out_width):
                    for c in range(channels):
                        for a in range(k):
                            for b in range(k):
                                y, x = i * layer.stride + a - k // 2, j * layer.stride + b - k // 2
                                if 0 <= y < height and 0 <= x < width:
                                    rows.append((o * out_height + i) * out_width + j)
                                    columns.append((c * height + y) * width + x)
                                    values.append(weight[o, c, a, b])
        shape = (math.prod(layer.out_image), math.prod(layer.image))
        matrices.append(sparse.csr_array((np.array(values), (rows, columns)), shape=shape))
    return matrices


@dataclass(frozen=True)
class Way:
    """One measurement: a function on the first `channels` output channels of each layer (0: all of them)."""

    subject: str
    name: str
    build: Callable[[Weights], list[Any]]
    repetitions: int
    channels: int = 0


WAYS = (
    Way("S-CONV layer 1", "index arithmetic, CSR", index_csr, 7),
    Way("S-CONV layer 1", "unit vectors, CSR", probe_csr, 3),
    Way("S-CONV layer 1", "Python loops, CSR", loop_csr, 1, channels=3),
    Way("S-CONV layer 1", "index arithmetic, dense", index_dense, 3),
    Way("S-CONV layer 1", "unit vectors, dense", probe_dense, 3),
    Way("D-CONV", "lcfs.embed, sparse", partial(embed, sparse=True), 5),
    Way("D-CONV", "index arithmetic, CSR", index_csr, 5),
    Way("D-CONV", "unit vectors, CSR", probe_csr, 1),
    Way("D-CONV", "Python loops, CSR", loop_csr, 1, channels=1),
    Way("D-CONV", "lcfs.embed, dense", partial(embed, sparse=False), 3),
    Way("D-CONV", "unit vectors, dense", probe_dense, 1),
)


def measure(index: int) -> dict[str, Any]:
    """Median CPU seconds and peak growth of the resident memory, each matrix checked on one image."""
    import torch

    import lcfs.embedding  # noqa: F401  what the ways import, before time and memory are read

    torch.set_num_threads(1)
    way, random = WAYS[index], np.random.default_rng(0)
    whole = layers_of(way.subject)
    parts = [replace(layer, outputs=way.channels or layer.outputs) for layer in whole]
    layers = [(layer, layer.weight(random)) for layer in parts]
    scales = [full.outputs / part.outputs for full, part in zip(whole, parts, strict=True)]
    # What is extrapolated is timed layer by layer, each with its own factor.
    groups = (
        [([layer], scale) for layer, scale in zip(layers, scales, strict=True)] if way.channels else [(layers, 1.0)]
    )
    seconds, peak, sizes = [], 0.0, [0.0]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(way.repetitions + 1):
        matrices, elapsed = [], 0.0
        for group, scale in groups:
            begun = time.process_time()
            matrices += way.build(group)
            elapsed += scale * (time.process_time() - begun)
        seconds.append(elapsed)
        peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # of the first call alone
        sizes = [_check(layer, weight, matrix) for (layer, weight), matrix in zip(layers, matrices, strict=True)]
        del matrices
    size = sum(scale * each for scale, each in zip(scales, sizes, strict=True))
    return {
        "subject": way.subject,
        "way": way.name,
        "cpu_seconds": round(statistics.median(seconds[1:]), 4),
        "peak_memory_mib": None if way.channels else round(peak / 2**10, 1),
        "matrix_mib": round(size / 2**20, 1),
        "extrapolated_from_channels": way.channels or None,
    }


def _check(layer: Layer, weight: np.ndarray, matrix: Any) -> float:
    """Bytes of a matrix, after it has been compared with the convolution on one image."""
    import torch

    x = torch.randn(1, *layer.image)
    if isinstance(matrix, torch.Tensor):
        matrix = matrix.detach()
        found, parts = matrix @ x.flatten(), [matrix._values(), matrix._indices()] if matrix.is_sparse else [matrix]
    else:
        found = torch.from_numpy(matrix @ x.numpy().ravel())
        parts = [matrix] if isinstance(matrix, np.ndarray) else [matrix.data, matrix.indices, matrix.indptr]
    torch.testing.assert_close(found, layer.convolve(x, weight)[0], rtol=0, atol=1e-4)
    return float(sum(part.nbytes for part in parts))


def main() -> None:
    """Measure each way in a process of its own, print them with their ratios to ours, optionally write a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for index, way in enumerate(WAYS):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result = pool.apply(measure, (index,))
        dense = way.name.endswith("dense")
        ours = next((r for r in results if r["subject"] == way.subject and r["way"].endswith("dense") == dense), result)
        result["times_ours"] = round(result["cpu_seconds"] / ours["cpu_seconds"], 1)
        if result["peak_memory_mib"] is not None:
            result["peak_over_matrix"] = round(result["peak_memory_mib"] / result["matrix_mib"], 2)
        results.append(result)
        print(json.dumps(result), flush=True)
    if arguments.record:
        with open(arguments.record, "w") as handle:
            handle.write(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
