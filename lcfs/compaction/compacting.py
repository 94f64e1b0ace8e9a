"""A net without its dead units, the optimizer that trains it, and the way back to the full net."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lcfs.compaction.chain import Cut, chain, cuts, kept_indices, removed, shrink, take
from lcfs.compaction.dead import dead_units
from lcfs.compaction.optimizers import coast, like, restore, write


@dataclass(frozen=True)
class Compacted:
    """A smaller net that trains as the full one would.

    Attributes:
        model: the net to train; the full one itself if no unit is dead.
        optimizer: trains `model`; None if `compact` was given none.
        full, full_optimizer: what was compacted; they change in `expand` only.
        kept: layer name → indices of its units (of CONV and LOCAL: channels) that stayed, where some did not.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    full: nn.Module
    full_optimizer: torch.optim.Optimizer | None
    kept: dict[str, Tensor]

    def units(self) -> dict[str, int]:
        """Units (of CONV and LOCAL: channels) of each hidden layer of `model`."""
        return {stage.name: stage.channels for stage in chain(self.model)[:-1]}

    @torch.no_grad()
    def expand(self, learning_rates: Iterable[float] = ()) -> nn.Module:
        """Bring the full net and its optimizer up to date, in place, and return the full net.

        What was kept is copied. What was removed gets what the uncompacted net would have given it: its gradients
        are 0, so the same optimizer is run, with gradient 0, on those of its entries that are not at rest, and its
        running statistics fade as they do on batches of zeros. The full state is then that of uncompacted training,
        up to the rounding of sums in the kept part (and of Σ δ in case B of `lcfs.compaction.dead`).

        Args:
            learning_rates: η of each step of `model` since it was made or last expanded, the same for all groups.
        """
        if self.model is self.full:
            return self.full
        rates = list(learning_rates)
        cut, full, small = cuts(chain(self.full), self.kept), _tensors(self.full), _tensors(self.model)
        self._fade(cut, full, len(rates))
        if self.full_optimizer is not None:
            parameters = {name: t for name, t in full.items() if isinstance(t, nn.Parameter)}
            among: dict[Tensor, Tensor] = {t: removed(t, cut[n]) for n, t in parameters.items() if n in cut}
            coast(self.full_optimizer, among, rates)
        for name, tensor in full.items():
            write(tensor, cut.get(name), small[name])
        if self.optimizer is not None and self.full_optimizer is not None:
            for name, tensor in full.items():
                if small[name] in self.optimizer.state:
                    restore(self.full_optimizer, tensor, cut.get(name), self.optimizer.state[small[name]])
            for group, changed in zip(self.full_optimizer.param_groups, self.optimizer.param_groups, strict=True):
                group |= {key: value for key, value in changed.items() if key != "params"}
            self.full_optimizer.__setstate__({})  # BetaLasso forgets how many non-zeros it counted
        return self.full

    def _fade(self, cut: dict[str, Cut], full: dict[str, Tensor], steps: int) -> None:
        """Running statistics of removed units: each step multiplies them by 1 − momentum."""
        for stage in chain(self.full):
            if stage.norm is not None and stage.norm.momentum is not None:
                for name in (f"{stage.norm_name}.running_mean", f"{stage.norm_name}.running_var"):
                    if name in cut:
                        full[name][removed(full[name], cut[name])] *= (1 - stage.norm.momentum) ** steps


@torch.no_grad()
def compact(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Compacted:
    """The net without the units that are dead for good, and an optimizer with the state of what stays.

    `model` and `optimizer` are left as they are. Training the result and calling `Compacted.expand` gives what training
    them would have given. LOCAL layers lose whole channels only, since their weights are one array of channels and
    positions; a CONV channel goes with all its positions. The masks of dropout stay those of the full net.

    Args:
        model: an S-, D- or 3-FC net of `lcfs.build`.
        optimizer: torch's SGD or BetaLasso over its parameters; learning rates must not rise later.

    Raises:
        InputError: another kind of net or optimizer.
    """
    stages = chain(model)
    kept = kept_indices(stages, dead_units(model, optimizer))
    if not kept:
        return Compacted(model, optimizer, model, optimizer, kept)
    small = shrink(model, stages, kept)
    if optimizer is None:
        return Compacted(small, None, model, None, kept)
    cut, named = cuts(stages, kept), dict(small.named_parameters())
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    replacing = {parameter: named[name] for parameter, name in names.items()}

    def select(parameter: Tensor, state: Tensor) -> Tensor:
        return take(state, cut[names[parameter]]) if names[parameter] in cut else state.clone()

    return Compacted(small, like(optimizer, replacing, select), model, optimizer, kept)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that make up the state of a net."""
    stored = model.state_dict().keys()
    return dict(model.named_parameters()) | {name: t for name, t in model.named_buffers() if name in stored}
