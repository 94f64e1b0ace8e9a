"""β-LASSO, Algorithm 1 of the paper, as a torch optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lcfs.architectures import replaces_convolution

_CHUNK = 1 << 18  # elements: on a CPU the temporaries of a chunk stay in the cache instead of crossing memory


class BetaLasso(torch.optim.Optimizer):
    """Subgradient step on loss + λ‖θ‖₁, then a hard threshold at βλ.

        θ ← θ − η (∇f(θ) + λ sign θ)
        θ ← θ · 1[|θ| ≥ βλ]

    The threshold is not scaled by η. β = 0 is L1 regularization by subgradient, which gives no exact zeros.
    Parameters with fewer than two dimensions (biases, BatchNorm) and groups with `l1=0` get plain SGD. Parameters in
    bfloat16 or float16 are updated through float32 master copies, since the L1 step (ηλ = 2e-6) is below their spacing.

    Args:
        params: parameters or groups; a group may set its own `lr`, `l1`, `beta`, `momentum`, `one_sided`.
        lr: η ≥ 0.
        l1: λ ≥ 0 of Algorithm 1.
        beta: β ≥ 0; the threshold is βλ (50 in the paper).
        momentum: in [0, 1); 0 in the paper. v ← μv + (∇f + λ sign θ), θ ← θ − ηv, then the threshold.
        one_sided: keep θ ≥ βλ instead of |θ| ≥ βλ (only positive weights survive; a hypothesis about Figure 3).
        all_parameters: treat biases and BatchNorm like weights, Algorithm 1 to the letter.

    Raises:
        ValueError: a value outside its range.
    Source: paper, Algorithm 1; settings in A.2.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        l1: float,
        beta: float = 50.0,
        momentum: float = 0.0,
        one_sided: bool = False,
        all_parameters: bool = False,
    ) -> None:
        defaults = {"lr": lr, "l1": l1, "beta": beta, "momentum": momentum, "one_sided": one_sided}
        self.all_parameters = all_parameters
        super().__init__(params, defaults)
        for group in self.param_groups:
            _check(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all parameters that have a gradient; returns the closure's loss, if any."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if gradient.is_sparse:
            raise RuntimeError("BetaLasso does not take sparse gradients; use a dense embedding")
        l1 = group["l1"] if self.all_parameters or parameter.ndim >= 2 else 0.0
        state = self.state[parameter]
        target = parameter
        if parameter.dtype in (torch.bfloat16, torch.float16):
            if "master" not in state:
                state["master"] = parameter.float()
            target, gradient = state["master"], gradient.float()
        velocity = None
        if group["momentum"]:
            if "velocity" not in state:
                state["velocity"] = torch.zeros_like(target)
            velocity = state["velocity"]
        beta_lasso_(target, gradient, group["lr"], l1, group["beta"], group["momentum"], velocity, group["one_sided"])
        if target is not parameter:
            parameter.copy_(target)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but master copies stay float32 (torch casts state to the dtype of its parameter)."""
        super().load_state_dict(state_dict)
        saved = [index for group in state_dict["param_groups"] for index in group["params"]]
        own = [parameter for group in self.param_groups for parameter in group["params"]]
        for index, parameter in zip(saved, own, strict=True):
            if parameter.dtype in (torch.bfloat16, torch.float16):
                for key, value in state_dict["state"].get(index, {}).items():
                    self.state[parameter][key] = value.to(device=parameter.device, dtype=torch.float32, copy=True)


def beta_lasso_(
    theta: Tensor,
    gradient: Tensor,
    lr: float,
    l1: float,
    beta: float,
    momentum: float = 0.0,
    velocity: Tensor | None = None,
    one_sided: bool = False,
) -> None:
    """Algorithm 1 in place on one tensor of any shape; NaN stays NaN rather than being thresholded away."""
    if theta.device.type == "cpu" and theta.is_contiguous() and theta.numel() > _CHUNK:
        thetas, gradients = theta.view(-1).split(_CHUNK), gradient.reshape(-1).split(_CHUNK)
        velocities = [None] * len(thetas) if velocity is None else velocity.view(-1).split(_CHUNK)
        for part, slope, speed in zip(thetas, gradients, velocities, strict=True):
            _update_(part, slope, lr, l1, beta, momentum, speed, one_sided)
    else:
        _update_(theta, gradient, lr, l1, beta, momentum, velocity, one_sided)


def _update_(
    theta: Tensor,
    gradient: Tensor,
    lr: float,
    l1: float,
    beta: float,
    momentum: float,
    velocity: Tensor | None,
    one_sided: bool,
) -> None:
    direction = gradient if l1 == 0 else theta.sign().mul_(l1).add_(gradient)
    if velocity is not None:
        direction = velocity.mul_(momentum).add_(direction)
    theta.sub_(
        direction.mul(lr)
    )  # not add_(alpha=−lr), which fuses and then rounds otherwise than Algorithm 1 as written
    if l1 > 0 and (beta > 0 or one_sided):
        theta.masked_fill_((theta if one_sided else theta.abs()) < beta * l1, 0.0)


def parameter_groups(model: nn.Module, *, l1_conv: float, l1_fc: float) -> list[dict[str, Any]]:
    """Groups for `BetaLasso`: λ for the layers that are or replace convolutions, λ for the others, no λ for the rest.

    Biases and BatchNorm lie in the second group; `BetaLasso` leaves them alone unless `all_parameters` is set.
    Source: paper A.2 (λ chosen separately for the two kinds).
    """
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if replaces_convolution(name)], "l1": l1_conv},
        {"params": [p for name, p in named if not replaces_convolution(name)], "l1": l1_fc},
    ]
    return [group for group in groups if group["params"]]


def _check(group: dict[str, Any]) -> None:
    for key in ("lr", "l1", "beta"):
        if not 0 <= group[key] < float("inf"):
            raise ValueError(f"{key} must be finite and non-negative, got {group[key]}")
    if not 0 <= group["momentum"] < 1:
        raise ValueError(f"momentum must lie in [0, 1), got {group['momentum']}")
