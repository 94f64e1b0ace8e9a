"""BatchNorm in evaluation mode is affine, so it folds into the linear layer before it."""

import copy

import torch
from torch import Tensor, nn

from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """A copy of a net of `lcfs.build` without BatchNorm, in evaluation mode: the same function up to rounding.

    With running mean μ and variance v, W ← diag(γ/√(v+ε)) W and bias ← β + (bias − μ) γ/√(v+ε), computed in float64 and
    rounded once. Each BatchNorm becomes an Identity. A layer and its BatchNorm are known by their names: `conv1` and
    `norm1`, `fc1` and `norm_fc1`, `shortcut.conv` and `shortcut.norm`.

    Raises:
        InputError: a BatchNorm without running statistics, which would evaluate on batch statistics: such a net is no
            function of one example.
    Source: Ioffe & Szegedy 2015, algorithm 2.
    """
    folded = copy.deepcopy(model).eval()
    for name, norm in list(folded.named_modules()):
        if isinstance(norm, _NORMS):
            if norm.running_mean is None or norm.running_var is None:
                raise InputError(
                    f"{name} has no running statistics and would be evaluated on those of the batch, which makes the "
                    "net no function of one example; train with track_running_stats=True"
                )
            parent = folded.get_submodule(name.rpartition(".")[0])
            leaf = name.rpartition(".")[2]
            layer = getattr(parent, partner(leaf))
            if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear | LocallyConnected):
                raise TypeError(f"{name} follows a {type(layer).__name__}, which it cannot be folded into")
            _fold(layer, norm, norm.running_mean, norm.running_var)
            setattr(parent, leaf, nn.Identity())
    return folded


def partner(norm: str) -> str:
    """The name of the layer that a BatchNorm of `lcfs.build` normalizes.

    >>> partner("norm1"), partner("norm_fc1")
    ('conv1', 'fc1')
    """
    return norm.removeprefix("norm_") if norm.startswith("norm_") else norm.replace("norm", "conv")


@torch.no_grad()
def _fold(
    layer: nn.Conv1d | nn.Conv2d | nn.Linear | LocallyConnected,
    norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d,
    mean: Tensor,
    variance: Tensor,
) -> None:
    scale = (variance.double() + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight.double()
    bias = -mean.double() * scale
    bias = bias if norm.bias is None else bias + norm.bias.double()
    weight = layer.weight
    if isinstance(layer, LocallyConnected):  # units are flattened as [O, H', W'], the weight begins with H', W', O
        shape = (layer.out_channels, *layer.positions)
        per_weight = scale.view(shape).movedim(0, -1)
    else:
        shape, per_weight = (weight.shape[0],), scale
    if layer.bias is not None:
        bias = bias + (layer.bias.double().flatten() * scale)
    weight.copy_(weight.double() * per_weight.reshape(*per_weight.shape, *[1] * (weight.ndim - per_weight.ndim)))
    layer.bias = nn.Parameter(bias.view(shape).to(weight.dtype))
