"""An epoch of β-LASSO on a laptop: `lcfs train` against the loop that one would write with a DataLoader.

Both train S-FC or S-CONV at α = 8 on CIFAR-10 with crop and flip, batches of 128, the same λ, β and learning rates.
The other loop reads a Dataset of uint8 images that crops, flips and normalizes one image at a time, adds λ‖θ‖₁ to the
loss, steps with torch's SGD, thresholds in a loop over the weights, and reads loss and accuracy in every step. It runs
without workers and with two, and the faster way counts. It has the precision of ours; to ours in bf16, which is what
the scale laptop trains in, it is also compared in float32, which is what one would type. Epochs take
turns in one process, after one to warm up; seconds are the least, in all processes. Epochs are short (--images): the
cost of a step stays the same.

What limits it, by torch's profiler: matrix products that both loops share. In fp32 they are nine tenths of our step of
S-FC and six tenths of the other loop's, so that twice is out of reach, and seven tenths of our step of S-CONV,
convolutions included. In bf16 they are eight tenths of S-FC's, with another tenth for the update, which reads and
writes all weights once, and six tenths of S-CONV's.

More threads than idle cores say nothing: OpenMP's waiting then takes most of the time of either loop.

Command: python -m benchmarks.laptop_epoch --data-dir DIR [--threads N ...] [--images N] [--record FILE].
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import psutil
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.update import cpu_name
from lcfs import data
from lcfs.config import OptimizerConfig, TrainConfig
from lcfs.nets import architectures
from lcfs.training.loop import Progress, train

NETS: tuple[Literal["s-fc", "s-conv"], ...] = ("s-fc", "s-conv")
PRECISIONS: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
OPTIMIZER = OptimizerConfig("beta-lasso", l1_conv=2e-4, l1_fc=5e-5, beta=10.0)  # studies/engine/scales.py, laptop
CROP = 4
WORKERS = (0, 2)


class Augmented(Dataset):
    """One image at a time: padded, cropped, flipped, normalized."""

    def __init__(self, images: data.ImageSet, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self.images, self.labels = images.images, images.labels
        self.mean, self.std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        top, left = torch.randint(2 * CROP + 1, (2,)).tolist()
        image = F.pad(self.images[index], (CROP,) * 4)[:, top : top + 32, left : left + 32]
        if torch.rand(()) < 0.5:
            image = image.flip(-1)
        return (image.float() / 255 - self.mean) / self.std, self.labels[index]


@dataclass
class Clock:
    """Wall seconds and process seconds of what it has timed, those of the workers included."""

    wall: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Begin an epoch."""
        self._begun = time.perf_counter(), _process_seconds()

    def stop(self) -> None:
        """End it."""
        self.wall.append(time.perf_counter() - self._begun[0])
        self.process.append(_process_seconds() - self._begun[1])

    def least(self) -> tuple[float, float]:
        """(wall, process), without the first epoch."""
        return min(self.wall[1:]), min(self.process[1:])


def _process_seconds() -> float:
    here = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (here, *here.children(recursive=True)))


class Usual:
    """The usual loop, resident in this process so that its epochs can alternate with ours."""

    def __init__(self, config: TrainConfig, images: data.Dataset, precision: str, workers: int) -> None:
        self.model = architectures.build(config.architecture, base_channels=config.base_channels)
        self.optimizer = torch.optim.SGD(self.model.parameters(), config.optimizer.lr)
        dataset = Augmented(images.train, images.mean, images.std)
        self.loader = DataLoader(
            dataset,
            config.batch_size,
            shuffle=True,
            num_workers=workers,
            drop_last=True,
            persistent_workers=workers > 0,
        )
        steps = config.epochs * len(self.loader)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        self.bf16 = precision == "bf16"
        named = architectures.weights(self.model)
        self.weights = [
            (p, OPTIMIZER.l1_conv if architectures.replaces_convolution(name) else OPTIMIZER.l1_fc) for name, p in named
        ]

    def epoch(self) -> tuple[float, float]:
        """Mean loss in nats and accuracy on augmented images."""
        self.model.train()
        total, right = 0.0, 0
        for x, y in self.loader:
            self.optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                logits = self.model(x)
            loss = F.cross_entropy(logits.float(), y)
            penalty = torch.stack([l1 * weight.abs().sum() for weight, l1 in self.weights]).sum()
            (loss + penalty).backward()
            self.optimizer.step()
            self.schedule.step()
            with torch.no_grad():
                for weight, l1 in self.weights:
                    weight.mul_(weight.abs() >= OPTIMIZER.beta * l1)
            total += loss.item() * len(y)
            right += (logits.argmax(1) == y).sum().item()
        images = len(self.loader) * (self.loader.batch_size or 1)
        return total / images, right / images


def measure(
    net: Literal["s-fc", "s-conv"],
    precision: Literal["fp32", "bf16"],
    threads: int,
    images: int,
    epochs: int,
    folder: str,
) -> list[dict[str, Any]]:
    """Seconds per epoch of `lcfs train` and of the usual loop, with and without workers, epoch by epoch in turn.

    One row for each precision of the usual loop.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    full = data.load("cifar10", folder=folder)
    short = replace(full, train=data.ImageSet(full.train.images[:images], full.train.labels[:images]))
    config = TrainConfig(
        net,
        base_channels=8,
        data="cifar10",
        epochs=epochs,
        batch_size=128,
        precision=precision,
        checkpoint_seconds=1e9,
        optimizer=OPTIMIZER,
    )
    others = dict.fromkeys((precision, "fp32"))  # once, if they are the same
    rivals = {(other, workers): Usual(config, short, other, workers) for other in others for workers in WORKERS}
    ours, clocks = Clock(), {rival: Clock() for rival in rivals}
    accuracy: dict[Any, float] = {}

    def take_turns(progress: Progress) -> None:
        ours.stop()
        accuracy["ours"] = progress.accuracy
        for name, rival in rivals.items():
            clocks[name].start()
            _, accuracy[name] = rival.epoch()
            clocks[name].stop()
        ours.start()

    with tempfile.TemporaryDirectory() as run, patch.object(data, "load", return_value=short):
        ours.start()
        train(config, Path(run) / "run", on_epoch=take_turns)
    wall, process = ours.least()
    rows = []
    for other in others:
        usual = {f"workers {n}": clocks[other, n].least() for n in WORKERS}
        train_accuracy = {"ours": accuracy["ours"]} | {f"workers {n}": accuracy[other, n] for n in WORKERS}
        rows.append(
            {
                "net": net,
                "base_channels": 8,
                "precision": precision,
                "usual_precision": other,
                "threads": threads,
                "steps_per_epoch": images // 128,
                "wall_seconds": round(wall, 2),
                "cpu_seconds": round(process, 2),
                "usual_wall_seconds": {name: round(seconds, 2) for name, (seconds, _) in usual.items()},
                "usual_cpu_seconds": {name: round(seconds, 2) for name, (_, seconds) in usual.items()},
                "wall_speedup": round(min(seconds for seconds, _ in usual.values()) / wall, 2),
                "cpu_speedup": round(min(seconds for _, seconds in usual.values()) / process, 2),
                "train_accuracy": {name: round(value, 3) for name, value in train_accuracy.items()},
                "device": cpu_name(),
                "torch": torch.__version__,
            }
        )
    return rows


def main() -> None:
    """Measure each net and precision in a process of its own, one JSON object a row, optionally write a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="where CIFAR-10 lies; by default as for `lcfs data cifar10`")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for threads, net, precision in product(arguments.threads, NETS, PRECISIONS):
        job = (net, precision, threads, arguments.images, arguments.epochs, arguments.data_dir)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # it may start workers itself
            rows = pool.submit(measure, *job).result()
        results += rows
        for row in rows:
            print(json.dumps(row), flush=True)
    if arguments.record:
        Path(arguments.record).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
