"""Using a sparse net: S-FC at α = 150 with 2 % of its weights, one image at a time on one CPU thread.

Command: python -m benchmarks.sparse_inference [--record FILE] [--run RUN]. Needs 6 GiB. The ways take turns in one
process; times are CPU seconds, the median of the rounds. "dense" is the net as trained, "dense, folded" the harder
alternative: its BatchNorm folded, nothing sparse. Then the crossover of one layer: dense time over CSR time.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

import lcfs
from lcfs.exporting.csr import csr_of
from lcfs.exporting.net import lower
from lcfs.runs import Run

ALPHA, DENSITY = 150, 0.02
BATCHES = (1, 16, 128)
CROSSOVER_LAYER, DENSITIES = (2048, 3072), (0.02, 0.05, 0.1, 0.125, 0.2, 0.3, 0.5)
LEAST_SECONDS, ROUNDS = 0.05, 9


def sparse_net(base_channels: int, density: float) -> nn.Module:
    """S-FC with that part of the weights, at random places, and running statistics of random images.

    The last layer (0.01 % of the weights) stays dense, as in trained nets; at 2 % it would not read most of its units,
    and the export, which removes those, would look better than it is.
    """
    net = lcfs.build("s-fc", base_channels=base_channels)
    with torch.no_grad():
        for layer in (net.conv1, net.fc1):
            for row in layer.weight:
                row *= torch.rand_like(row) < density
        for _ in range(20):
            net(torch.randn(64, 3, 32, 32))
    return net.eval()


@torch.inference_mode()
def side_by_side(ways: dict[str, Callable[[Tensor], Tensor]], x: Tensor) -> dict[str, float]:
    """Median CPU milliseconds of one call of each way; they take turns."""
    repeats = {name: _repeats(way, x) for name, way in ways.items()}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            begun = time.process_time()
            for _ in range(repeats[name]):
                way(x)
            found[name].append((time.process_time() - begun) / repeats[name])
    return {name: 1000 * median(seconds) for name, seconds in found.items()}


def compare(label: str, net: nn.Module) -> list[dict[str, Any]]:
    """One row a batch size: times, ratios, and the largest difference of logits relative to the largest logit."""
    exported, folded = lower(net, (3, 32, 32)), lower(net, (3, 32, 32), sparse=False)
    rows = []
    for batch in BATCHES:
        x = torch.randn(batch, 3, 32, 32)
        times = side_by_side({"dense": net, "dense, folded": folded, "exported": exported}, x)
        with torch.inference_mode():
            expected = net(x)
            difference = ((exported(x) - expected).abs().max() / expected.abs().max()).item()
        rows.append(
            {
                "net": label,
                "batch": batch,
                "milliseconds": {name: round(value, 4) for name, value in times.items()},
                "times_faster_than_dense": round(times["dense"] / times["exported"], 2),
                "times_faster_than_dense_folded": round(times["dense, folded"] / times["exported"], 2),
                "largest_relative_difference": float(f"{difference:.1e}"),
                "layers": [f"{spec.kind} {spec.inputs} → {spec.outputs}" for spec in exported.spec.layers],
                "exported_over_dense_bytes": round(exported.stored_bytes() / folded.stored_bytes(), 4),
            }
        )
        print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
    return rows


def crossover() -> list[dict[str, Any]]:
    """Dense time over CSR time of one layer, by density and batch size."""
    rows = []
    for density in DENSITIES:
        layer = nn.Linear(CROSSOVER_LAYER[1], CROSSOVER_LAYER[0]).requires_grad_(False)
        layer.weight.mul_(torch.rand_like(layer.weight) < density)
        ways: dict[str, Callable[[Tensor], Tensor]] = {"dense": layer, "csr": csr_of(layer)}
        ratios = {}
        for batch in BATCHES:
            times = side_by_side(ways, torch.randn(batch, CROSSOVER_LAYER[1]))
            ratios[str(batch)] = round(times["dense"] / times["csr"], 2)
        rows.append({"layer": CROSSOVER_LAYER, "density": density, "times_faster_by_batch": ratios})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def trained(path: Path) -> nn.Module:
    """The net of a run on 3 × 32 × 32 images."""
    run = Run.open(path)
    config = run.config()
    net = lcfs.build(config.architecture, base_channels=config.base_channels, dropout=config.dropout)
    net.load_state_dict(lcfs.load_state(run.newest_checkpoint()))
    return net.eval()


def main() -> None:
    """Measure, print one JSON object a line, optionally write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    parser.add_argument("--run", help="run directory of a trained net to measure too")
    parser.add_argument("--base-channels", type=int, default=ALPHA)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results = crossover()
    if arguments.run:
        results += compare(f"trained: {Path(arguments.run).name}", trained(Path(arguments.run)))
    label = f"s-fc, α = {arguments.base_channels}, density {DENSITY:g} at random"
    results += compare(label, sparse_net(arguments.base_channels, DENSITY))
    if arguments.record:
        Path(arguments.record).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _repeats(way: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """Calls that take long enough to be timed; the first one warms up."""
    way(x)
    begun = time.process_time()
    way(x)
    return max(1, int(LEAST_SECONDS / max(time.process_time() - begun, 1e-6)))


if __name__ == "__main__":
    main()
