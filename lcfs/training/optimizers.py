"""The optimizer that a configuration asks for."""

import torch
from torch import nn

from lcfs import optim
from lcfs.config import TrainConfig
from lcfs.training import sharding


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """torch's SGD or `BetaLasso` with one λ for convolution-like layers and one for the others."""
    c = config.optimizer
    if c.name == "sgd":
        # Fused takes a third of the time on a CPU; it may round the last few entries otherwise, and takes no shards.
        fused = config.precision == "bf16" and not any(map(sharding.is_sharded, model.parameters()))
        return torch.optim.SGD(model.parameters(), c.lr, c.momentum, weight_decay=c.weight_decay, fused=fused or None)
    groups = optim.parameter_groups(model, l1_conv=c.l1_conv, l1_fc=c.l1_fc)
    return optim.BetaLasso(
        groups,
        c.lr,
        l1=0.0,
        beta=c.beta,
        momentum=c.momentum,
        one_sided=c.one_sided,
        all_parameters=c.all_parameters,
        soft=c.threshold == "soft",
    )
