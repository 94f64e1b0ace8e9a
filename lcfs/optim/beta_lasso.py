"""β-LASSO, Algorithm 1 of the paper, as a torch optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lcfs.nets.architectures import replaces_convolution
from lcfs.optim.rule import Rule
from lcfs.optim.update import update_

_HALF = (torch.bfloat16, torch.float16)


class BetaLasso(torch.optim.Optimizer):
    """Subgradient step on loss + λ‖θ‖₁, then a hard threshold at βλ.

        θ ← θ − η (∇f(θ) + λ sign θ)
        θ ← θ · 1[|θ| ≥ βλ]

    The threshold is not scaled by η. β = 0 is L1 regularization by subgradient, which gives no exact zeros.

    With `soft` a step is θ ← S(θ − η ∇f(θ)), S(x) = sign(x) max(|x| − ηβλ, 0), the proximal step of the
    penalty βλ‖θ‖₁: it takes the place of λ sign θ, and β = 1 is ISTA with λ. Scaled by η, because the paper's text
    ("soft-thresholding") and its βλ taken together literally would be a step of the penalty (βλ/η)‖θ‖₁, which pulls
    each weight by βλ in every step and grows without bound as η anneals to 0: the minimizer would depend on η, and in
    the paper's setting (βλ = 1e-3) any weight of size 0.02 would be gone after 20 steps.

    Parameters with fewer than two dimensions (biases, BatchNorm) and groups with `l1=0` get plain SGD. Parameters in
    bfloat16 or float16 are updated through float32 master copies, since the L1 step (ηλ = 2e-6) is below their spacing.

    Args:
        params: parameters or groups; a group may set its own `lr`, `l1`, `beta`, `momentum`, `one_sided`,
            `all_parameters`, `soft`.
        lr: η ≥ 0; a scalar tensor on the parameters' device lets a captured CUDA graph see it change.
        l1: λ ≥ 0 of Algorithm 1.
        beta: β ≥ 0; the threshold is βλ (50 in the paper).
        momentum: in [0, 1); 0 in the paper. v ← μv + (∇f + λ sign θ), θ ← θ − ηv, then the threshold.
        one_sided: keep θ ≥ βλ instead of |θ| ≥ βλ (only positive weights survive; a hypothesis about Figure 3).
        all_parameters: treat biases and BatchNorm like weights, Algorithm 1 to the letter.
        soft: shrink by ηβλ instead of the hard threshold.

    Raises:
        ValueError: a value outside its range.
    Source: paper, Algorithm 1; settings in A.2.

    >>> weight = nn.Parameter(torch.tensor([[0.5, 1e-4]]))
    >>> optimizer = BetaLasso([weight], lr=0.1, l1=2e-5, beta=50)
    >>> weight.sum().mul(0).backward()
    >>> optimizer.step()
    >>> weight.count_nonzero().item()  # 1e-4 lies below βλ = 1e-3
    1
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor,
        *,
        l1: float,
        beta: float = 50.0,
        momentum: float = 0.0,
        one_sided: bool = False,
        all_parameters: bool = False,
        soft: bool = False,
    ) -> None:
        defaults = {"lr": lr, "l1": l1, "beta": beta, "momentum": momentum, "soft": soft}
        super().__init__(params, defaults | {"one_sided": one_sided, "all_parameters": all_parameters})
        self.copies: dict[Tensor, Tensor] = {}
        """Parameter → copy in half precision that the net computes with: has the gradient, receives the new weights."""
        self._nonzeros: dict[Tensor, Tensor] = {}
        for group in self.param_groups:
            _check(group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._nonzeros = {}  # counts of other weights
        self.__dict__.setdefault("copies", {})
        for group in self.param_groups:  # as saved before these were options of the group
            group.setdefault("all_parameters", self.defaults["all_parameters"])
            group.setdefault("soft", self.defaults["soft"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of all parameters that have a gradient; returns the closure's loss, if any."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = self.copies.get(parameter, parameter).grad
                if gradient is not None:
                    self._update(parameter, gradient, group)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, as torch does, those of the copies too."""
        super().zero_grad(set_to_none)
        for copy in self.copies.values():
            copy.grad = None

    def nonzeros(self) -> dict[Tensor, Tensor]:
        """Non-zero entries of each parameter after the last step: int64 `[]` on its device, so nothing has to wait.

        The fused forms of the update have counted them already; otherwise they are counted now. Of a sharded
        parameter, the entries of this process; in half precision, those of the float32 master copy.
        """
        counts = {}
        for parameter in (parameter for group in self.param_groups for parameter in group["params"]):
            count = self._nonzeros.get(parameter)
            if count is None:
                count = _local(self.state.get(parameter, {}).get("master", parameter.detach())).count_nonzero()
            counts[parameter] = count
        return counts

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if gradient.is_sparse:
            raise RuntimeError("BetaLasso does not take sparse gradients; use a dense embedding")
        l1 = group["l1"] if group["all_parameters"] or parameter.ndim >= 2 else 0.0
        options = (group["beta"], group["momentum"], group["one_sided"], group["soft"])
        rule = Rule.of(group["lr"], l1, *options)
        state = self.state[parameter]
        target, copy = parameter, self.copies.get(parameter)
        if parameter.dtype in _HALF:
            if "master" not in state:
                state["master"] = parameter.float()
            target, copy = state["master"], parameter
        velocity = None
        if rule.momentum:
            if "velocity" not in state:
                state["velocity"] = torch.zeros_like(target)
            velocity = state["velocity"]
        count = update_(rule, *map(_local, (target, gradient, velocity, copy)))
        if count is None:
            self._nonzeros.pop(parameter, None)
        else:
            self._nonzeros[parameter] = count

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a state as torch does, but keep master copies in float32 (torch casts to the dtype of a parameter)."""
        super().load_state_dict(state_dict)
        saved = [index for group in state_dict["param_groups"] for index in group["params"]]
        own = [parameter for group in self.param_groups for parameter in group["params"]]
        for index, parameter in zip(saved, own, strict=True):
            if parameter.dtype in _HALF:
                for key, value in state_dict["state"].get(index, {}).items():
                    self.state[parameter][key] = value.to(device=parameter.device, dtype=torch.float32, copy=True)


def _local(tensor: Any) -> Any:
    """The part of a sharded tensor (DTensor) that this process holds, in the same memory: all an update needs."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def parameter_groups(model: nn.Module, *, l1_conv: float, l1_fc: float) -> list[dict[str, Any]]:
    """Groups for `BetaLasso`: λ for the layers that are or replace convolutions, λ for the others, no λ for the rest.

    Biases and BatchNorm lie in the second group; `BetaLasso` leaves them alone unless `all_parameters` is set.

    Args:
        model: a net whose layers that are or replace convolutions have "conv" in their names, as those of `lcfs.build`.
        l1_conv: λ ≥ 0 of those layers.
        l1_fc: λ ≥ 0 of the others.

    Returns:
        One or two groups, the first argument of `BetaLasso`; none is empty.

    Raises:
        Nothing: `BetaLasso` checks the values.
    Source: paper A.2 (λ chosen separately for the two kinds).

    >>> model = nn.Sequential()
    >>> model.add_module("conv1", nn.Linear(64, 128))
    >>> model.add_module("fc1", nn.Linear(128, 10))
    >>> [(len(group["params"]), group["l1"]) for group in parameter_groups(model, l1_conv=2e-5, l1_fc=5e-6)]
    [(2, 2e-05), (2, 5e-06)]
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
