"""The β-LASSO step in torch's own operations: the form that runs everywhere."""

from functools import cache
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from lcfs.optim.rule import Rule

CHUNK = 1 << 18  # elements: on a CPU the temporaries of a chunk stay in the cache instead of crossing memory


def update_(
    rule: Rule, theta: Tensor, gradient: Tensor, velocity: Tensor | None = None, copy: Tensor | None = None
) -> None:
    """See `lcfs.optim.update.update_`; tensors of any layout and kind that torch computes with."""
    flat = all(t is None or t.is_contiguous() for t in (theta, gradient, velocity, copy))
    if theta.device.type == "cpu" and theta.numel() > CHUNK and flat:
        thetas, gradients = theta.view(-1).split(CHUNK), gradient.view(-1).split(CHUNK)
        velocities, copies = (repeat(None) if t is None else t.view(-1).split(CHUNK) for t in (velocity, copy))
        for chunk in zip(thetas, gradients, velocities, copies, strict=False):
            _update_(rule, *chunk)
    else:
        _update_(rule, theta, gradient, velocity, copy)


def _update_(rule: Rule, theta: Tensor, gradient: Tensor, velocity: Tensor | None, copy: Tensor | None) -> None:
    direction = gradient
    if rule.l1:
        direction = torch.add(gradient, theta.sign(), alpha=rule.l1)  # exact λ·sign: fusing it changes nothing
    if velocity is not None:
        direction = velocity.mul_(rule.momentum).add_(direction)
    # not add_(alpha=−lr), which fuses and then rounds otherwise than Algorithm 1 as written
    theta.sub_(direction.to(theta.dtype).mul(rule.lr))
    if rule.soft:
        amount: Any = rule.lr * rule.threshold  # a number, or a tensor on the device
        theta.sub_(theta.clamp(None if rule.one_sided else -amount, amount))  # S(θ) = θ − clip(θ), which keeps NaN
    # hardshrink and threshold zero what is ≤ a bound: the next number below βλ makes that < βλ. Both keep NaN.
    elif rule.one_sided:
        torch.threshold_(theta, _below(rule.threshold, theta.dtype), 0.0)
    elif rule.threshold:
        torch.hardshrink(theta, _below(rule.threshold, theta.dtype), out=theta)
    if copy is not None:
        copy.copy_(theta)


@cache
def _below(threshold: float, dtype: torch.dtype) -> float:
    """The largest number of this precision below the threshold, rounded to this precision first."""
    rounded = torch.tensor(threshold, dtype=dtype)
    return torch.nextafter(rounded, torch.full_like(rounded, -torch.inf)).item()
