"""Straight-through training of a quantized net for cross-entropy plus the price of its bits.

Real weights at first; they turn into integers gradually, and the forward pass is of integers for the rest. Products
are in bfloat16: at this rounding a trained net's errors differ by less than 0.1 %.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lcfs.nets.quantized import QuantizedNet
from studies.quantized.price import price_bits


@dataclass(frozen=True)
class Schedule:
    """How a net is trained; parts are of the whole training, in [0, 1]."""

    epochs: int = 60
    batch_size: int = 128
    learning_rate: float = 0.03
    """Peak of Adam's learning rate, in units of an integer step; warmed up over 300 steps, then a cosine."""
    bit_price: float = 9e-5
    """Nats of cross-entropy that a bit of description may cost."""
    price_until: float = 0.3
    """Part over which the price rises from 0."""
    hardening: tuple[float, float] = (0.2, 0.7)
    """Parts between which real weights turn into integers."""


def train_epoch(
    schedule: Schedule,
    epoch: int,
    net: QuantizedNet,
    optimizer: torch.optim.Optimizer,
    features: Tensor,
    labels: Tensor,
    seed: int,
) -> tuple[float, float]:
    """One epoch, from 0; the order of the images depends on seed and epoch alone.

    Args:
        features: bfloat16 `[n, f, rows, columns]`, what `lcfs.nets.fixed_features` computed.
        labels: int64 `[n]`.

    Returns: (mean cross-entropy in nats, error) of the net in training.
    """
    steps = len(labels) // schedule.batch_size
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed * 100_003 + epoch))
    batches = order[: steps * schedule.batch_size].view(steps, schedule.batch_size)
    total, wrong = 0.0, 0
    net.train()
    for step, batch in enumerate(batches, start=epoch * steps):
        progress = step / (schedule.epochs * steps)
        rate = schedule.learning_rate * min(1, step / 300 + 0.05) * (1 + math.cos(math.pi * progress)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        net.hardness = _ramp(progress, *schedule.hardening)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net.classify(features[batch])
        loss = F.cross_entropy(logits.float(), labels[batch])
        optimizer.zero_grad()
        (loss + schedule.bit_price * _ramp(progress, 0, schedule.price_until) * price_bits(net)).backward()
        optimizer.step()
        net.clip()
        total += loss.item()
        wrong += int((logits.argmax(1) != labels[batch]).sum())
    return total / steps, wrong / (steps * schedule.batch_size)


def _ramp(x: float, start: float, stop: float) -> float:
    """0 up to start, 1 from stop on, linear between."""
    return min(max((x - start) / (stop - start), 0.0), 1.0) if stop > start else float(x >= stop)
