"""Proof of size: one training step of the paper's largest nets, with its time and peak memory.

Command: python -m benchmarks.size [--record FILE]. Absolute times on a CPU say that it runs, not how fast it is.
"""

import argparse
import json
import multiprocessing
import resource
import time
from typing import Any

NETS = ("s-fc", "s-local")
ALPHA, BATCH = 150, 512


def step(net: str) -> dict[str, Any]:
    """Build the net at α = 150, take one warm-up step and one timed β-LASSO step at batch 512."""
    import torch
    from torch.nn import functional as F

    import lcfs

    model = lcfs.build(net, base_channels=ALPHA)
    optimizer = lcfs.BetaLasso(lcfs.parameter_groups(model, l1_conv=2e-5, l1_fc=5e-6), 0.1, l1=0.0)
    x, y = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    seconds = 0.0
    for _ in range(2):
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        seconds = time.perf_counter() - begun
    return {
        "net": net,
        "base_channels": ALPHA,
        "batch_size": BATCH,
        "weights": lcfs.count_weights(model),
        "nonzeros": sum(int(p.count_nonzero()) for p in model.parameters() if p.ndim >= 2),
        "seconds_per_step": round(seconds, 2),
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Measure each net in a process of its own, print one JSON object a line, optionally write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    arguments = parser.parse_args()
    results = []
    for net in NETS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results.append(pool.apply(step, (net,)))
        print(json.dumps(results[-1]), flush=True)
    if arguments.record:
        with open(arguments.record, "w") as handle:
            handle.write(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
