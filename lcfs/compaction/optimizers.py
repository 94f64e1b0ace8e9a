"""An optimizer of the same kind for other parameters, and its state copied back."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lcfs.compaction.chain import Cut, put
from lcfs.compaction.motion import motion
from lcfs.optim import BetaLasso


def like(
    optimizer: torch.optim.Optimizer,
    replacing: Mapping[Tensor, torch.nn.Parameter],
    select: Callable[[Tensor, Tensor], Tensor],
) -> torch.optim.Optimizer:
    """An optimizer of the same groups over other parameters, in the state that `select(parameter, state)` gives them.

    Args:
        optimizer: SGD or BetaLasso.
        replacing: old parameter → new one; the others are left out.
        select: called for each state tensor of the parameter's shape; returns one of the new parameter's shape.
    """
    groups = [
        {**group, "params": [replacing[p] for p in group["params"] if p in replacing]}
        for group in optimizer.param_groups
    ]
    if isinstance(optimizer, BetaLasso):
        made: torch.optim.Optimizer = BetaLasso(groups, 0.0, l1=0.0)
    else:
        made = torch.optim.SGD(groups, 0.0)
    for old, new in replacing.items():
        for key, value in optimizer.state.get(old, {}).items():
            tied = isinstance(value, Tensor) and value.shape == old.shape
            made.state[new][key] = select(old, value) if tied else value
    return made


def restore(optimizer: torch.optim.Optimizer, parameter: Tensor, cut: Cut | None, state: Mapping[str, object]) -> None:
    """Write the state of what was kept of a parameter into the state of the whole."""
    own = optimizer.state[parameter]
    for key, value in state.items():
        if not isinstance(value, Tensor):
            own[key] = value
            continue
        if key not in own:
            own[key] = torch.zeros(parameter.shape, dtype=value.dtype, device=value.device)
        write(own[key], cut, value)


def write(full: Tensor, cut: Cut | None, small: Tensor) -> None:
    """`put`, or a plain copy of what was not cut."""
    if cut is None:
        full.copy_(small)
    else:
        put(full, cut, small)


@torch.no_grad()
def coast(optimizer: torch.optim.Optimizer, among: Mapping[Tensor, Tensor], rates: list[float]) -> None:
    """Run the optimizer with gradient 0 on some entries of its parameters, at one learning rate after the other.

    Args:
        optimizer: SGD or BetaLasso.
        among: parameter → mask of its entries; those that are at rest are left out.
        rates: one learning rate a step.
    """
    places = {
        parameter: at
        for parameter, mask in among.items()
        if len((at := (mask & _moving(parameter, optimizer)).nonzero(as_tuple=True))[0])
    }
    if not places or not rates:
        return
    # As many dimensions as the parameter has, since BetaLasso treats vectors otherwise than matrices.
    packed = {p: torch.nn.Parameter(p[at].view(-1, *[1] * (p.ndim - 1))) for p, at in places.items()}
    coasting = like(optimizer, packed, lambda p, state: state[places[p]].view_as(packed[p]))
    for parameter in packed.values():
        parameter.grad = torch.zeros_like(parameter)
    for rate in rates:
        for group in coasting.param_groups:
            group["lr"] = rate
        coasting.step()
    for parameter, at in places.items():
        parameter[at] = packed[parameter].flatten()
        own = optimizer.state[parameter]
        for key, value in coasting.state[packed[parameter]].items():
            if isinstance(value, Tensor):
                if key not in own:
                    own[key] = torch.zeros(parameter.shape, dtype=value.dtype, device=value.device)
                own[key][at] = value.flatten()


def _moving(parameter: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
    """Entries that may change at gradient 0."""
    how = motion(parameter, optimizer)
    moving = torch.zeros_like(how.theta, dtype=torch.bool)
    if how.decay or how.l1:
        moving |= how.theta != 0
    if how.velocity is not None:
        moving |= how.velocity != 0
    return moving
