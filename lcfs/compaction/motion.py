"""How a parameter moves when its gradient is 0: what momentum, decay and λ do to it by themselves."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from lcfs.errors import InputError
from lcfs.optim import BetaLasso

Known = torch.optim.SGD | BetaLasso


@dataclass(frozen=True)
class Motion:
    """At gradient 0: v ← μv + dθ + λ sign θ, θ ← θ − ηv, then θ ← 0 where |θ| < threshold.

    What it promises holds for all later steps whose learning rate is at most the present η.

    Attributes:
        theta: the parameter, or the float32 master copy that the optimizer moves.
        velocity: v, or None for 0.
        lr, momentum, decay, l1, threshold: η, μ, d, λ and βλ, all ≥ 0.
    """

    theta: Tensor
    velocity: Tensor | None = None
    lr: float = 0.0
    momentum: float = 0.0
    decay: float = 0.0
    l1: float = 0.0
    threshold: float = 0.0

    @property
    def _speed(self) -> Tensor:
        return torch.zeros_like(self.theta) if self.velocity is None else self.velocity

    def rests_at_zero(self) -> Bool[Tensor, "*shape"]:
        """Where θ = 0 for ever.

        At θ = 0 only the velocity moves it, by −ημv. If v = 0, or the threshold is above |ημv|, then θ is 0 again and
        v smaller.
        """
        zero = self.theta == 0
        if self.velocity is None or self.momentum == 0:
            return zero
        step = self.velocity.abs() * (self.lr * self.momentum)
        return zero & ((step < self.threshold) | (self.velocity == 0))

    def stays_nonpositive(self) -> Bool[Tensor, "*shape"]:
        """Where θ ≤ 0 for ever.

        λ = 0, μ = 0: θ ← (1 − ηd) θ keeps its sign if ηd ≤ 1.
        λ = 0, μ > 0: if (μκ + d)(1 + ηκ) ≤ κ, the cone {θ ≤ 0, v ≥ κθ} is never left. For v′ = μv + dθ ≥ (μκ + d)θ, so
        θ′ = θ − ηv′ ≤ (1 − η(μκ + d)) θ ≤ 0, as η(μκ + d) ≤ ηκ/(1 + ηκ) < 1; and v′ ≥ κθ′ is (1 + ηκ) v′ ≥ κθ, which
        follows from (1 + ηκ)(μκ + d) θ ≥ κθ. The largest such κ is a root of ημκ² − (1 − μ − ηd)κ + d; a smaller η
        keeps the inequality.
        λ > 0 (β-LASSO on all parameters), μ = 0: θ + ηλ ≤ ηλ is 0 after the threshold if it is positive and βλ ≥ ηλ.
        """
        theta, eta, mu = self.theta, self.lr, self.momentum
        if self.l1 > 0:
            if mu == 0 and self.threshold >= eta * self.l1:
                return theta <= 0
            return self.rests_at_zero()
        if eta * mu == 0:
            return theta <= 0 if eta * self.decay <= 1 else theta == 0
        half = 1 - mu - eta * self.decay
        discriminant = half**2 - 4 * eta * mu * self.decay
        if half < 0 or discriminant < 0:
            return (theta == 0) & (self._speed == 0)
        kappa = (half + math.sqrt(discriminant)) / (2 * eta * mu)
        return (theta <= 0) & (self._speed >= kappa * theta)


def check(optimizer: torch.optim.Optimizer) -> None:
    """Raises: InputError if it is not known how this optimizer moves a parameter at gradient 0."""
    if not isinstance(optimizer, Known):
        raise InputError(
            f"units can be removed under torch's SGD and BetaLasso, not under {type(optimizer).__name__}, whose "
            "parameters may move for other reasons; compact after training instead"
        )
    for group in optimizer.param_groups:
        for key in ("dampening", "nesterov", "maximize"):
            if group.get(key):
                raise InputError(f"units can be removed under plain SGD only; set {key} to 0")
        if group.get("soft"):
            raise InputError("units can be removed under a hard threshold only; compact after training instead")


def motion(parameter: Tensor, optimizer: torch.optim.Optimizer | None) -> Motion:
    """How the optimizer moves the parameter; without an optimizer nothing moves by itself."""
    groups = optimizer.param_groups if optimizer is not None else []
    group = next((g for g in groups if any(p is parameter for p in g["params"])), None)
    if optimizer is None or group is None:
        return Motion(parameter.detach())
    lr, momentum = float(group["lr"]), group["momentum"]
    state = optimizer.state.get(parameter, {})
    theta = state.get("master", parameter.detach())
    if isinstance(optimizer, BetaLasso):
        l1 = group["l1"] if group["all_parameters"] or parameter.ndim >= 2 else 0.0
        return Motion(theta, state.get("velocity"), lr, momentum, 0.0, l1, group["beta"] * l1)
    return Motion(theta, state.get("momentum_buffer"), lr, momentum, group["weight_decay"])
