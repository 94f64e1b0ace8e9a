"""One training step on a GPU: ours against its floor, and against the loop that one would write.

β-LASSO (λ = 2e-5 and 5e-6, β = 50) on batches of 512 images, S-FC, S-LOCAL and S-CONV at α = 150, D-FC at α = 15, with
Fast AutoAugment, crop, flip and Cutout. Per net, milliseconds a step of

* graph: `lcfs train` on CUDA; bare: the same without augmentation, which tells what augmentation costs;
* eager: the same step, launched operation by operation;
* usual: autocast to float16 with a GradScaler, λ‖θ‖₁ in the loss, torch's SGD, a threshold in a loop over the weights,
  and the loss read in every step; its augmentation is ours, on the GPU;
* loader: the same, its augmentation in the workers of a DataLoader, a batch at a time (an image at a time, as most
  loops have it, would be slower).

The floor (benchmarks/floor.py) is in milliseconds at the arithmetic of a large bfloat16 product and the bandwidth of a
large copy, both measured in the same run. All forms take turns; a number is the least of the rounds.

Command: python -m benchmarks.gpu_step [--rounds N] [--nets NAME ...] [--record FILE]. About two minutes on one GPU.
With --cpu everything runs at a tiny size on the CPU, to try it; those numbers mean nothing.
"""

import argparse
import gc
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import lcfs
from benchmarks.floor import floor
from lcfs.augmentation.augment import Augment
from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.data import ImageSet, facts
from lcfs.nets.architectures import replaces_convolution, weights
from lcfs.training.optimizers import make_optimizer
from lcfs.training.recorded_step import GraphStep, cuda_graph
from lcfs.training.step import Step

OPTIMIZER = OptimizerConfig("beta-lasso", l1_conv=2e-5, l1_fc=5e-6, beta=50.0)
AUGMENT = AugmentConfig(policy="fa-cifar10", crop=4, flip=True, cutout=16)
BARE = AugmentConfig(policy="none", crop=0, flip=False)
CIFAR10 = facts("cifar10")
IMAGE = (3, 32, 32)
LR = 1e-3  # small, so that thousands of steps on noise leave the nets finite


@dataclass(frozen=True)
class Size:
    """What a run measures: widths by net, images in a batch and in the set, steps in a round, sides of the ceilings."""

    widths: dict[str, int]
    batch: int
    images: int
    steps: int
    product_side: int
    copied_mib: int


PAPER = Size({"s-fc": 150, "s-local": 150, "d-fc": 15, "s-conv": 150}, 512, 50_000, 20, 8192, 1024)
TINY = Size({"s-fc": 2, "s-local": 2, "d-fc": 1, "s-conv": 2}, 16, 256, 2, 64, 1)

Form = Callable[[], None]
"""One round of steps."""


def seconds(work: Callable[[], Any], device: str, times: int = 1) -> float:
    """Wall seconds of one of `times` repetitions, until the device has finished."""
    _wait(device)
    begun = time.perf_counter()
    for _ in range(times):
        work()
    _wait(device)
    return (time.perf_counter() - begun) / times


def ceilings(device: str, size: Size) -> tuple[float, float]:
    """(operations per second of a large bfloat16 product, bytes per second of a large copy), the best of ten."""
    a, b = torch.randn(2, size.product_side, size.product_side, device=device).to(torch.bfloat16)
    source, target = torch.empty(2, size.copied_mib << 20, dtype=torch.uint8, device=device)
    product = min(seconds(lambda: a @ b, device, 5) for _ in range(10))
    copy = min(seconds(lambda: target.copy_(source), device, 5) for _ in range(10))
    return 2 * size.product_side**3 / product, 2 * source.nbytes / copy


class Augmented(Dataset):
    """Augments a batch at a time, in whichever process asks for it."""

    def __init__(self, images: ImageSet, augmentation: Augment) -> None:
        self.images, self.augmentation = images, augmentation
        self.generator: torch.Generator | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        if self.generator is None:
            self.generator = torch.Generator().manual_seed(torch.initial_seed())
        at = torch.tensor(indices)
        return self.augmentation(self.images.images[at], self.generator), self.images.labels[at]


class Usual:
    """The usual step of mixed precision, with its own net."""

    def __init__(self, config: TrainConfig, device: str) -> None:
        self.model, self.device = _net(config, device).train(), device
        self.optimizer = torch.optim.SGD(self.model.parameters(), LR)
        self.scaler = torch.amp.GradScaler(device)
        self.weights = [
            (p, OPTIMIZER.l1_conv if replaces_convolution(name) else OPTIMIZER.l1_fc) for name, p in weights(self.model)
        ]
        self.loss = 0.0

    def step(self, x: Tensor, y: Tensor) -> None:
        """One step on augmented images."""
        self.optimizer.zero_grad()
        with torch.autocast(self.device, torch.float16):
            loss = F.cross_entropy(self.model(x), y)
        penalty = torch.stack([l1 * weight.abs().sum() for weight, l1 in self.weights]).sum()
        self.scaler.scale(loss + penalty).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            for weight, l1 in self.weights:
                weight.mul_(weight.abs() >= OPTIMIZER.beta * l1)
        self.loss += loss.item()


def ours(kind: type[Step], config: TrainConfig, images: ImageSet, size: Size, **arguments: Any) -> Form:
    """A round of our steps."""
    device = images.images.device
    model, generator = _net(config, device.type), torch.Generator(device).manual_seed(0)
    augmentation = Augment(config.augment, CIFAR10.mean, CIFAR10.std)
    optimizer = make_optimizer(model, config)
    step = kind(model, optimizer, augmentation, images, generator, bf16=True, copies=True, **arguments)
    batches = _batches(len(images), size.batch, generator)

    def work() -> None:
        for _ in range(size.steps):
            step(next(batches), LR)

    return work


def usual(config: TrainConfig, images: ImageSet, size: Size) -> Form:
    """A round of the usual steps, augmented on the device."""
    device = images.images.device
    rival, generator = Usual(config, device.type), torch.Generator(device).manual_seed(0)
    augmentation = Augment(config.augment, CIFAR10.mean, CIFAR10.std)
    batches = _batches(len(images), size.batch, generator)

    def work() -> None:
        for _ in range(size.steps):
            batch = next(batches)
            rival.step(augmentation(images.images[batch], generator), images.labels[batch])

    return work


def loader(config: TrainConfig, images: ImageSet, size: Size) -> Form:
    """A round of the usual steps, augmented in the workers of a DataLoader."""
    device = images.images.device.type
    rival = Usual(config, device)
    loading = DataLoader(
        Augmented(images.to("cpu"), Augment(config.augment, CIFAR10.mean, CIFAR10.std)),
        size.batch,
        shuffle=True,
        drop_last=True,
        num_workers=(os.cpu_count() or 1) if device == "cuda" else 0,
        collate_fn=lambda batch: batch,
        pin_memory=device == "cuda",
        persistent_workers=device == "cuda",
        multiprocessing_context="fork" if device == "cuda" else None,
    )
    batches = (batch for _ in iter(int, 1) for batch in loading)

    def work() -> None:
        for _ in range(size.steps):
            x, y = next(batches)
            rival.step(x.to(device, non_blocking=True), y.to(device, non_blocking=True))

    return work


def measure(net: Any, device: str, size: Size, rounds: int, peak: tuple[float, float]) -> dict[str, Any]:
    """Milliseconds a step of every form, its floor, and ratios."""
    config = TrainConfig(net, base_channels=size.widths[net], optimizer=OPTIMIZER, augment=AUGMENT)
    bare = TrainConfig(net, base_channels=size.widths[net], optimizer=OPTIMIZER, augment=BARE)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (size.images, *IMAGE), dtype=torch.uint8, generator=generator)
    images = ImageSet(pixels, torch.randint(10, (size.images,), generator=generator)).to(device)
    # On a CPU there is nothing to record; the same Python then runs again.
    capture = cuda_graph if device == "cuda" else lambda work, generator: work
    forms: dict[str, Form] = {
        "graph": ours(GraphStep, config, images, size, capture=capture),
        "bare": ours(GraphStep, bare, images, size, capture=capture),
        "eager": ours(Step, config, images, size),
        "usual": usual(config, images, size),
        "loader": loader(config, images, size),
    }
    least = dict.fromkeys(forms, float("inf"))
    for form in forms.values():
        form()  # compiles, allocates, records, starts workers
    for _ in range(rounds):
        for name, form in forms.items():
            least[name] = min(least[name], seconds(form, device) / size.steps)
    with torch.device("meta"):
        least_work = floor(lcfs.build(net, base_channels=size.widths[net]), size.batch, IMAGE)
    overlapped, in_turn = least_work.overlapped(*peak), least_work.in_turn(*peak)
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU, a trial",
        "torch": torch.__version__,
        "net": net,
        "base_channels": size.widths[net],
        "batch": size.batch,
        "product_tflops": round(peak[0] / 1e12, 1),
        "copy_gb_per_second": round(peak[1] / 1e9),
        "step_gflop": round(least_work.flops / 1e9, 1),
        "step_gb": round(least_work.bytes / 1e9, 3),
        "floor_overlapped_ms": round(1e3 * overlapped, 3),
        "floor_in_turn_ms": round(1e3 * in_turn, 3),
        **{f"{name}_ms": round(1e3 * value, 3) for name, value in least.items()},
        "floor_overlapped_of_graph": round(overlapped / least["graph"], 3),
        "floor_in_turn_of_graph": round(in_turn / least["graph"], 3),
        **{f"{name}_times_graph": round(least[name] / least["graph"], 2) for name in ("eager", "usual", "loader")},
    }


def _net(config: TrainConfig, device: str) -> torch.nn.Module:
    torch.manual_seed(0)
    with torch.device(device):
        return lcfs.build(config.architecture, base_channels=config.base_channels, image=IMAGE)


def _batches(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        order = torch.randperm(count, generator=generator, device=generator.device)
        yield from order[: count // batch * batch].split(batch)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Print one JSON object a net, optionally write a record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--nets", nargs="+", choices=PAPER.widths, default=list(PAPER.widths))
    parser.add_argument("--record", help="JSON file to write the measurements to")
    parser.add_argument("--cpu", action="store_true", help="try it on the CPU at a tiny size")
    arguments = parser.parse_args()
    device, size = ("cpu", TINY) if arguments.cpu else ("cuda", PAPER)
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU; use --cpu to try the benchmark without one")
    peak = ceilings(device, size)
    results = []
    for net in arguments.nets:
        results.append(measure(net, device, size, arguments.rounds, peak))
        print(json.dumps(results[-1]), flush=True)
        if arguments.record:
            Path(arguments.record).write_text(json.dumps(results, indent=1) + "\n")
        gc.collect()  # the workers of the DataLoader, the memory of the graphs


if __name__ == "__main__":
    main()
