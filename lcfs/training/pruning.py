"""Iterative magnitude pruning with rewinding: train, remove the smallest weights, go back to an early epoch, repeat.

Each round trains from the weights that the net had after epoch k of the first round, BatchNorm's included, and with the
learning rates of the epochs that follow k; what was removed stays exactly 0. Momentum starts anew; the order of the
images and their augmentation do not repeat. k = 0 is the lottery ticket of 2019's first paper.
Source: Frankle and Carbin, The Lottery Ticket Hypothesis, 2019; Frankle, Dziugaite, Roy and Carbin, Stabilizing the
Lottery Ticket Hypothesis, 2019 (rewinding).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from lcfs.config import TrainConfig
from lcfs.nets.architectures import weights


@dataclass(frozen=True)
class Place:
    """Where an epoch lies: in which round, counted from 1, and at which epoch of the schedule, from 0."""

    round: int
    epoch: int


def total_epochs(config: TrainConfig) -> int:
    """Epochs of all rounds: the first trains all of them, the others those after the rewinding.

    >>> from lcfs.config import PruneConfig
    >>> total_epochs(TrainConfig("s-fc", epochs=10, prune=PruneConfig(rounds=3, fraction=0.5, rewind_epoch=1)))
    28
    """
    return config.epochs + (config.prune.rounds - 1) * (config.epochs - config.prune.rewind_epoch)


def place(config: TrainConfig, epoch: int) -> Place:
    """Where an epoch lies, counted from 0 over all rounds."""
    if epoch < config.epochs:
        return Place(1, epoch)
    early = config.prune.rewind_epoch
    later, past = divmod(epoch - config.epochs, config.epochs - early)
    return Place(2 + later, early + past)


@torch.no_grad()
def smallest_removed(
    tensors: Sequence[Tensor], masks: Sequence[Bool[Tensor, "..."]], fraction: float
) -> list[Bool[Tensor, "..."]]:
    """Masks without ⌊fraction · remaining⌋ of the entries that remain, those of the smallest magnitude.

    Args:
        tensors: weights that are compared with each other; of equal ones the first goes.
        masks: of the same shapes, True for what remains.
        fraction: in [0, 1).
    """
    sizes = torch.cat([t[mask].abs() for t, mask in zip(tensors, masks, strict=True)])
    kept = torch.ones_like(sizes, dtype=torch.bool)
    kept[sizes.argsort(stable=True)[: int(fraction * len(sizes))]] = False
    remaining = []
    for mask, part in zip(masks, kept.split([int(mask.sum()) for mask in masks]), strict=True):
        after = mask.clone()
        after[mask] = part
        remaining.append(after)
    return remaining


class Pruning:
    """Masks of a net's weights and its early state; everything stays where it is in memory.

    The optimizer leaves what was removed at 0: before each of its steps their gradients are set to 0, and neither
    decay, momentum nor λ moves a weight of 0 whose gradient and velocity are 0.
    """

    def __init__(self, config: TrainConfig, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._config, self._model, self._optimizer = config, model, optimizer
        self._weights = dict(weights(model))
        self.masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in self._weights.items()}
        self._early: dict[str, Tensor] = {}
        optimizer.register_step_pre_hook(lambda *_: self._hold())

    @torch.no_grad()
    def begin(self, epoch: int) -> None:
        """Remember the early state or go back to it, as the epoch about to be trained asks (see `place`)."""
        here, early = place(self._config, epoch), self._config.prune.rewind_epoch
        if epoch == early:
            self._early = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
        elif here.round > 1 and here.epoch == early:
            self._remove()
            self._model.load_state_dict(self._early)
            for state in self._optimizer.state.values():
                for value in state.values():
                    if isinstance(value, Tensor):
                        value.zero_()
            for name, weight in self._weights.items():
                weight.masked_fill_(~self.masks[name], 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Masks and early state, for a checkpoint."""
        return {"masks": self.masks, "early": self._early}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`, onto the device of the weights."""
        for name, mask in self.masks.items():
            mask.copy_(state["masks"][name])
        own = self._model.state_dict()
        self._early = {name: tensor.to(own[name].device) for name, tensor in state["early"].items()}

    def _remove(self) -> None:
        names, prune = list(self._weights), self._config.prune
        for group in [names] if prune.scope == "global" else [[name] for name in names]:
            chosen = [self._weights[name] for name in group]
            after = smallest_removed(chosen, [self.masks[name] for name in group], prune.fraction)
            for name, mask in zip(group, after, strict=True):
                self.masks[name].copy_(mask)

    @torch.no_grad()
    def _hold(self) -> None:
        for name, weight in self._weights.items():
            if weight.grad is not None:
                weight.grad.masked_fill_(~self.masks[name], 0.0)


def round_metrics(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """`round/N/…` of each round's last epoch, from the lines of metrics.jsonl: test accuracy, non-zero weights."""
    metrics: dict[str, float] = {}
    for row in rows:
        if "test/accuracy" in row:
            metrics[f"round/{row['round']}/test_accuracy"] = row["test/accuracy"]
            metrics[f"round/{row['round']}/nonzeros"] = sum(v for k, v in row.items() if k.startswith("sparsity/"))
    return metrics
