"""A net of `lcfs.build` as a chain of linear layers, and cutting channels out of it."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from lcfs.ranks.layers import RanksDropout
from lcfs.ranks.ranks import ALONE, Ranks

LinearMap = nn.Linear | nn.Conv1d | nn.Conv2d | LocallyConnected
Norm = nn.BatchNorm1d | nn.BatchNorm2d
Cut = list[tuple[int, Tensor]]
"""What is kept of a tensor: (dimension, indices along it), for each dimension in which something goes."""

_BETWEEN = (nn.Flatten, nn.Unflatten, nn.Identity)


@dataclass(frozen=True)
class Stage:
    """A linear layer, and what follows it up to the next one.

    Attributes:
        name, layer: the linear layer.
        norm_name, norm: the BatchNorm behind it; None behind the last layer and in a folded net.
        dropout: name of the dropout on its outputs, or None.
        unflatten: name of the reshaping of its outputs for a LOCAL layer behind it, or None.
        channels: how many parts the layer can be cut into: units of an FC layer, channels of CONV and LOCAL.
        positions: units of one channel, as the next layer's columns count them.
    """

    name: str
    layer: LinearMap
    norm_name: str | None
    norm: Norm | None
    dropout: str | None
    unflatten: str | None
    channels: int
    positions: int

    @property
    def dims(self) -> tuple[int, int]:
        """Dimensions of the weight that run over the channels of its outputs and over its inputs."""
        first = len(self.layer.positions) if isinstance(self.layer, LocallyConnected) else 0
        return first, first + 1


class SelectedDropout(nn.Module):
    """Dropout of the kept columns of `width` inputs: draws for all of them, so that each keeps its own mask.

    Of a batch that is shared out among ranks, each draws for all rows and keeps its own.
    """

    kept: Tensor

    def __init__(self, p: float, width: int, kept: Int64[Tensor, " columns"], ranks: Ranks = ALONE) -> None:
        super().__init__()
        self.p, self.width, self.ranks = p, width, ranks
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, x: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch columns"]:
        """`[B, len(kept)]` → the same."""
        if not self.training:
            return x
        whole = x.new_ones(self.ranks.whole(len(x)), self.width)
        return x * self.ranks.own(F.dropout(whole, self.p))[:, self.kept]


def chain(model: nn.Module) -> list[Stage]:
    """The linear layers of an S-, D- or 3-FC net in order, BatchNorm folded or not.

    Raises:
        InputError: any other net, naming what is in the way.
    """
    children = list(model.named_children())
    linear = [i for i, (_, module) in enumerate(children) if isinstance(module, LinearMap)]
    if not isinstance(model, nn.Sequential) or not linear:
        raise InputError(
            f"only nets that are one chain of layers can be cut (S-, D- and 3-FC nets), got a {type(model).__name__}"
        )
    ends = [*linear[1:], len(children)]
    layers = [module for _, module in children if isinstance(module, LinearMap)]
    return [
        _stage(dict(children[begin:end]), after)
        for begin, end, after in zip(linear, ends, [*layers[1:], None], strict=True)
    ]


def kept_indices(stages: list[Stage], dead: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Indices of the channels that stay in each layer where some go; a channel of LOCAL goes when all its units do.

    At least one stays: layers without units are not worth supporting, and keeping a dead unit changes nothing.
    """
    stays = {s.name: ~dead[s.name].view(s.channels, -1).all(1) for s in stages if s.name in dead}
    for mask in stays.values():
        mask[0] |= not mask.any()
    return {name: mask.nonzero()[:, 0] for name, mask in stays.items() if not mask.all()}


def cuts(stages: list[Stage], kept: Mapping[str, Tensor]) -> dict[str, Cut]:
    """By name, every parameter and buffer of which something goes when only the `kept` channels stay."""
    cut_by_name: dict[str, Cut] = {}
    inputs: Tensor | None = None
    for i, stage in enumerate(stages):
        outputs = kept.get(stage.name)
        pairs = zip(stage.dims, (outputs, inputs), strict=True)
        cut_by_name[f"{stage.name}.weight"] = [(dim, index) for dim, index in pairs if index is not None]
        if outputs is not None:
            if stage.layer.bias is not None:
                cut_by_name[f"{stage.name}.bias"] = [(0, outputs)]
            if stage.norm is not None:
                units = _units(outputs, stage.norm.num_features // stage.channels)
                for key in ("weight", "bias", "running_mean", "running_var"):
                    cut_by_name[f"{stage.norm_name}.{key}"] = [(0, units)]
        last = i + 1 == len(stages)
        wide = not last and isinstance(stages[i + 1].layer, nn.Linear)
        inputs = _units(outputs, stage.positions) if wide and outputs is not None else outputs
    return {name: cut for name, cut in cut_by_name.items() if cut}


def take(tensor: Tensor, cut: Cut) -> Tensor:
    """A new tensor of the entries that stay."""
    for dim, index in cut:
        tensor = tensor.index_select(dim, index)
    return tensor


def put(full: Tensor, cut: Cut, small: Tensor) -> Tensor:
    """Write the entries that stay back into `full`, in place; the inverse of `take`."""
    (dim, index), *rest = cut
    return full.index_copy_(dim, index, put(full.index_select(dim, index), rest, small) if rest else small)


def removed(tensor: Tensor, cut: Cut) -> Tensor:
    """Where the entries are that go: a mask of the tensor's shape."""
    mask = torch.ones_like(tensor, dtype=torch.bool)
    return put(mask, cut, torch.zeros_like(take(mask, cut)))


def shrink(model: nn.Module, stages: list[Stage], kept: Mapping[str, Tensor]) -> nn.Module:
    """A copy of the net with only the kept channels; it shares no memory with the net."""
    cut = cuts(stages, kept)
    named = dict(model.named_parameters()) | dict(model.named_buffers())
    smaller = {name: take(named[name].detach(), c) for name, c in cut.items()}
    memo = {
        id(named[name]): nn.Parameter(t, named[name].requires_grad) if isinstance(named[name], nn.Parameter) else t
        for name, t in smaller.items()
    }
    small = copy.deepcopy(model, memo)  # a tensor found in the memo is taken from there instead of being copied
    for stage in stages:
        _resize(small, stage, kept.get(stage.name))
    return small


def _stage(children: dict[str, nn.Module], after: LinearMap | None) -> Stage:
    (name, layer), *rest = children.items()
    assert isinstance(layer, LinearMap)
    channels = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    positions = 1
    if isinstance(layer, LocallyConnected):
        positions = math.prod(layer.positions)
    elif isinstance(layer, nn.Conv1d | nn.Conv2d) and isinstance(after, nn.Linear):
        positions = after.in_features // channels
    norms, dropouts, unflattens, relus = [], [], [], []
    for key, module in rest:
        if isinstance(module, Norm):
            norms.append((key, module))
        elif isinstance(module, nn.ReLU):
            relus.append(key)
        elif isinstance(module, nn.Dropout | SelectedDropout):
            dropouts.append(key)
        elif isinstance(module, nn.Unflatten):
            unflattens.append(key)
        elif not isinstance(module, _BETWEEN):
            raise InputError(f"{key} is a {type(module).__name__}, which nothing is known about cutting through")
    if len(relus) != (after is not None) or max(len(norms), len(dropouts), len(unflattens)) > 1:
        raise InputError(f"{name} must be followed by at most one BatchNorm, then one ReLU unless it is the last layer")
    norm_name, norm = norms[0] if norms else (None, None)
    dropout, unflatten = (keys[0] if keys else None for keys in (dropouts, unflattens))
    return Stage(name, layer, norm_name, norm, dropout, unflatten, channels, positions)


def _units(channels: Tensor, each: int) -> Tensor:
    """Indices of all units of the channels."""
    return (channels[:, None] * each + torch.arange(each, device=channels.device)).flatten()


def _resize(small: nn.Module, stage: Stage, outputs: Tensor | None) -> None:
    """What the layers around a cut say of their sizes, and dropout and reshaping, which depend on them."""
    layer = small.get_submodule(stage.name)
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Conv1d | nn.Conv2d | LocallyConnected):
        layer.out_channels, layer.in_channels = (layer.weight.shape[dim] for dim in stage.dims)
    if outputs is None:
        return
    if stage.norm_name is not None and isinstance(norm := small.get_submodule(stage.norm_name), Norm):
        norm.num_features = len(outputs) * (norm.num_features // stage.channels)
    if stage.unflatten is not None and isinstance(shape := small.get_submodule(stage.unflatten), nn.Unflatten):
        _, *sides = shape.unflattened_size
        shape.unflattened_size = (len(outputs), *sides)
    if stage.dropout is not None:
        dropout = small.get_submodule(stage.dropout)
        columns = _units(outputs, stage.positions)
        if isinstance(dropout, SelectedDropout):
            changed = SelectedDropout(dropout.p, dropout.width, dropout.kept[columns], dropout.ranks)
        else:
            assert isinstance(dropout, nn.Dropout)
            ranks = dropout.ranks if isinstance(dropout, RanksDropout) else ALONE
            changed = SelectedDropout(dropout.p, stage.channels * stage.positions, columns, ranks)
        setattr(small, stage.dropout, changed.train(dropout.training))
