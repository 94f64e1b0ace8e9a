"""What removing dead units gives: β-LASSO runs of S-FC (α = 8, CIFAR-10), epoch by epoch with and without, same seed.

Command: LCFS_DATA=FOLDER python -m benchmarks.compaction [--record FILE] [--run RUN]. The runs take turns epoch by
epoch in one process with one thread; times are CPU seconds. A third run is the one without compaction with its hidden
units in another order: what the mere order of bfloat16 sums does to so many steps. At the λ of the scale
laptop no unit dies within these epochs; at five times that λ on the first layer many do. Then, for the first layers so
trained (and that of RUN), what their sparsity would give to other kernels: empty blocks as they stand and with units
and pixels put in order of place (Morton order), and milliseconds of each product of a training step, dense, by blocks
(BSR) and by rows (CSR).
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lcfs
from lcfs import data
from lcfs.augmentation import augment
from lcfs.compaction import compact, dead_units
from lcfs.config import OptimizerConfig, TrainConfig
from lcfs.runs import Run
from lcfs.training.epoch import cosine
from lcfs.training.optimizers import make_optimizer

L1_CONV = (2e-4, 1e-3)
BLOCKS = (8, 16, 32)
BATCH = 128


def configuration(l1_conv: float, epochs: int) -> TrainConfig:
    """The S-FC run of the study longer_training with its λ on the first layer replaced, and fewer epochs."""
    optimizer = OptimizerConfig("beta-lasso", l1_conv=l1_conv, l1_fc=5e-5, beta=10.0)
    return TrainConfig(
        "s-fc", 8, data="cifar10", epochs=epochs, batch_size=BATCH, precision="bf16", optimizer=optimizer
    )


class Trainee:
    """One of the runs: the steps of `lcfs.training.loop`, with the time of its epochs."""

    def __init__(
        self, config: TrainConfig, dataset: data.Dataset, *, compacted: bool = False, reordered: bool = False
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.dataset, self.compacted = config, dataset, compacted
        self.model = lcfs.build(config.architecture, base_channels=config.base_channels)
        if reordered:
            order = torch.randperm(self.model.conv1.out_features, generator=torch.Generator().manual_seed(1))
            self.model.conv1.weight.data = self.model.conv1.weight.data[order].contiguous()
            self.model.fc1.weight.data = self.model.fc1.weight.data[:, order].contiguous()
        self.optimizer = make_optimizer(self.model, config)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.augment = augment.Augment(config.augment, dataset.mean, dataset.std, None)

    def epoch(self, number: int) -> dict[str, Any]:
        """Train epoch `number`, counted from 0."""
        begun = time.process_time()
        small = compact(self.model, self.optimizer) if self.compacted else None
        ready = time.process_time()
        model, optimizer = self.model, self.optimizer
        if small is not None and small.optimizer is not None:
            model, optimizer = small.model, small.optimizer
        train, total = self.dataset.train, 0.0
        steps = len(train) // BATCH
        rates = [cosine(self.config.optimizer.lr, number * steps + i, self.config.epochs * steps) for i in range(steps)]
        order = torch.randperm(len(train), generator=self.generator)
        model.train()
        for rate, batch in zip(rates, order[: steps * BATCH].split(BATCH), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
            x, y = self.augment(train.images[batch], self.generator), train.labels[batch]
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(x)
            loss = F.cross_entropy(logits.float(), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item()
        trained = time.process_time()
        if small is not None:
            small.expand(rates)
        ended = time.process_time()
        return {
            "loss": round(total / steps, 5),
            "cpu_seconds": round(ended - begun, 2),
            "of_these_compacting": round(ready - begun + ended - trained, 3),
            "units": small.units() if small is not None else {},
        }


def with_and_without(l1_conv: float, epochs: int, dataset: data.Dataset) -> tuple[list[dict[str, Any]], nn.Module]:
    """One row an epoch, and the net trained without compaction."""
    config = configuration(l1_conv, epochs)
    plain, small = Trainee(config, dataset), Trainee(config, dataset, compacted=True)
    other = Trainee(config, dataset, reordered=True)
    rows = []
    for number in range(epochs):
        before = plain.model.conv1.weight.detach().clone()
        without, within, reordered = plain.epoch(number), small.epoch(number), other.epoch(number)
        weight = plain.model.conv1.weight.detach()
        differences = [float((p - q).abs().max()) for p, q in zip(*map(_weights, (plain, small)), strict=True)]
        rows.append(
            {
                "l1_conv": l1_conv,
                "epoch": number + 1,
                "units": within["units"],
                "dead_units_at_end": {k: int(v.sum()) for k, v in dead_units(plain.model, plain.optimizer).items()},
                "nonzeros_without": [int(w.count_nonzero()) for w in _weights(plain)],
                "nonzeros_with": [int(w.count_nonzero()) for w in _weights(small)],
                "nonzeros_reordered": [int(w.count_nonzero()) for w in _weights(other)],
                "first_layer_weights_regrown": int(((before == 0) & (weight != 0)).sum()),
                "largest_weight_difference": max(differences),
                "loss_without": without["loss"],
                "loss_with": within["loss"],
                "loss_reordered": reordered["loss"],
                "cpu_seconds_without": without["cpu_seconds"],
                "cpu_seconds_with": within["cpu_seconds"],
                "of_these_compacting": within["of_these_compacting"],
                "times_faster": round(without["cpu_seconds"] / within["cpu_seconds"], 3),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows, plain.model


def _weights(trainee: Trainee) -> list[Tensor]:
    return [weight.detach() for _, weight in lcfs.nets.architectures.weights(trainee.model)]


def blocks(label: str, weight: Tensor) -> dict[str, Any]:
    """Empty blocks of a first layer of S-FC, and milliseconds of its products at batch 128."""
    weight = weight[weight.any(1)]
    weight = weight[: len(weight) // max(BLOCKS) * max(BLOCKS)]
    ordered = _in_order_of_place(weight)
    found: dict[str, Any] = {"layer": label, "units_alive": len(weight), "density": round(_density(weight), 5)}
    for name, matrix in (("as_it_stands", weight), ("in_order_of_place", ordered)):
        found[f"empty_blocks_{name}"] = {str(side): round(_empty_blocks(matrix, side), 4) for side in BLOCKS}
    x, delta = torch.randn(BATCH, weight.shape[1]), torch.randn(BATCH, len(weight))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch: sparse layouts are in beta
        sparse = {f"forward, BSR {side}, in order of place": ordered.to_sparse_bsr((side, side)) for side in BLOCKS}
        sparse["forward, CSR"] = weight.to_sparse_csr()
    half = [t.bfloat16() for t in (x, weight, delta)]
    ways: dict[str, Callable[[], Tensor]] = {
        "forward, dense": lambda: x @ weight.T,
        "forward, dense, bf16": lambda: half[0] @ half[1].T,
        "weight gradient, dense, bf16": lambda: half[2].T @ half[0],
    }
    ways |= {name: lambda m=matrix: m @ x.T for name, matrix in sparse.items()}
    found["milliseconds"] = {name: round(_milliseconds(way), 3) for name, way in ways.items()}
    print(json.dumps(found), flush=True)
    return found


def _in_order_of_place(weight: Tensor) -> Tensor:
    """Columns in Morton order of their pixels, the colours of a pixel together; units by their centres of mass."""
    side = 32
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    pixels = torch.cat([_morton(x.flatten(), y.flatten())] * 3).argsort(stable=True)
    mass = weight.abs().view(len(weight), 3, side, side).sum(1)
    total = mass.sum((1, 2))
    centres = ((mass * at).sum((1, 2)) / total for at in (x, y))
    return weight[_morton(*(c.round().long() for c in centres)).argsort(stable=True)][:, pixels].contiguous()


def _morton(x: Tensor, y: Tensor) -> Tensor:
    bits = range(5)
    return sum((((x >> b) & 1) << 2 * b | ((y >> b) & 1) << 2 * b + 1 for b in bits), torch.zeros_like(x))


def _density(weight: Tensor) -> float:
    return int(weight.count_nonzero()) / weight.numel()


def _empty_blocks(weight: Tensor, side: int) -> float:
    """Part of the side × side blocks that hold zeros only."""
    rows, columns = weight.shape
    return float((~weight.view(rows // side, side, columns // side, side).ne(0).any(3).any(1)).double().mean())


@torch.no_grad()
def _milliseconds(way: Callable[[], Tensor]) -> float:
    way()
    seconds = []
    for _ in range(9):
        begun = time.process_time()
        for _ in range(5):
            way()
        seconds.append((time.process_time() - begun) / 5)
    return 1000 * median(seconds)


def main() -> None:
    """Measure, print one JSON object a line, optionally write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    parser.add_argument("--run", help="run directory of a longer S-FC run whose first layer is measured too")
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: list[dict[str, Any]] = []
    dataset = data.load("cifar10")
    layers = {}
    for l1_conv in L1_CONV:
        rows, net = with_and_without(l1_conv, arguments.epochs, dataset)
        results += rows
        layers[f"l1_conv {l1_conv:g}, {arguments.epochs} epochs"] = net.conv1.weight.detach()
    if arguments.run:
        newest = Run.open(Path(arguments.run)).newest_checkpoint()
        layers[Path(arguments.run).name] = lcfs.load_state(newest)["conv1.weight"]
    results += [blocks(label, weight) for label, weight in layers.items()]
    if arguments.record:
        Path(arguments.record).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
