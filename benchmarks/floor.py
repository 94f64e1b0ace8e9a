"""The least that one training step has to do: floating-point operations and bytes, counted from the net's layers.

Each weight takes part in three products of a step, forward, its gradient, and (but for the first layer) its input's
gradient, and in one update. A product reads its operands and writes its result once, in bfloat16. Of the passes between
products only BatchNorm's are counted, one in each direction, with ReLU in them. The update reads the gradient in
bfloat16, reads and writes the float32 weight, and writes its bfloat16 copy; with momentum it reads and writes the
velocity. Augmentation and loss count for nothing. Caches may save some of the activations' bytes, but not of the
weights', where those are many times larger than any cache.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lcfs import LocallyConnected

HALF, FLOAT = 2, 4  # bytes of a bfloat16 and of a float32

_Weighted = nn.Linear | nn.Conv2d | LocallyConnected
_Norm = nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True)
class Work:
    """One product or pass: floating-point operations (a multiplication and an addition are two) and bytes."""

    name: str
    flops: int
    bytes: int

    def seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """The time of whichever takes longer."""
        return max(self.flops / flops_per_second, self.bytes / bytes_per_second)


@dataclass(frozen=True)
class Floor:
    """All the work of one step."""

    works: tuple[Work, ...]

    @property
    def flops(self) -> int:
        return sum(work.flops for work in self.works)

    @property
    def bytes(self) -> int:
        return sum(work.bytes for work in self.works)

    def overlapped(self, flops_per_second: float, bytes_per_second: float) -> float:
        """Seconds if all arithmetic and all traffic went on at the same time: no step can be faster."""
        return Work("step", self.flops, self.bytes).seconds(flops_per_second, bytes_per_second)

    def in_turn(self, flops_per_second: float, bytes_per_second: float) -> float:
        """Seconds if one product or pass follows the other, each at full arithmetic or full bandwidth."""
        return sum(work.seconds(flops_per_second, bytes_per_second) for work in self.works)


@torch.no_grad()
def floor(model: nn.Module, batch: int, image: tuple[int, int, int], *, momentum: bool = False) -> Floor:
    """Count the work of one step.

    Args:
        model: a net of `lcfs.build`, on any device; on "meta" it costs nothing.
        batch: images in a step.
        image: (channels, height, width).
        momentum: whether the update has a velocity.

    >>> floor(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), 2, (3, 2, 2)).flops
    480
    """
    found: list[Work] = []

    def weighted(name: str, module: nn.Module, inputs: int, outputs: int) -> None:
        n = sum(p.numel() for p in module.parameters() if p.ndim >= 2)
        uses = outputs // module.out_channels if isinstance(module, nn.Conv2d) else batch
        flops, moved = 2 * n * uses, HALF * (n + inputs + outputs)
        products = ["forward", "weight gradient"] + ["input gradient"] * bool(found)
        found.extend(Work(f"{name} {product}", flops, moved) for product in products)
        update = HALF + 2 * FLOAT + HALF + (2 * FLOAT if momentum else 0)
        found.append(Work(f"{name} update", 0, update * n))

    def normalized(name: str, outputs: int) -> None:
        found.append(Work(f"{name} forward", 0, 2 * HALF * outputs))
        found.append(Work(f"{name} backward", 0, 3 * HALF * outputs))

    def hook(name: str, module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        inputs, outputs = (batch * t.numel() for t in (arguments[0], output))
        if isinstance(module, _Weighted):
            weighted(name, module, inputs, outputs)
        elif isinstance(module, _Norm):
            normalized(name, outputs)

    handles = [
        module.register_forward_hook(lambda m, a, o, name=name: hook(name, m, a, o))
        for name, module in model.named_modules()
    ]
    training = model.training
    try:
        model.eval()(torch.zeros(1, *image, device=next(model.parameters()).device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return Floor(tuple(found))
