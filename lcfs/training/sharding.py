"""A net trained by many ranks, as copies (DDP) or in shards (FSDP2), and its state as one process would hold it."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from lcfs.analysis import counts as counting
from lcfs.ranks.layers import join_ranks
from lcfs.ranks.ranks import Ranks

How = Literal["ddp", "fsdp"]


def spread(model: nn.Module, ranks: Ranks, how: How) -> None:
    """Prepare a net, in place, for being trained by all ranks, each of which has built the same one.

    Args:
        how: ddp leaves each rank all weights; fsdp leaves it its shard of every weight, a part of the rows. Layers
            become whole one after the other, as they are needed.
    """
    if ranks.count == 1:
        return
    join_ranks(model, ranks)
    if how == "fsdp":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        # LocallyConnected returns a view; nothing here works on outputs in place.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        mesh = init_device_mesh(next(model.parameters()).device.type, (ranks.count,))
        for layer in model.children():
            if any(parameter.ndim >= 2 for parameter in layer.parameters()):
                fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)


def replica(model: nn.Module, ranks: Ranks) -> nn.Module:
    """What a training step calls: its gradients are those of the mean loss over the batch of all ranks.

    A net may have one replica only, whose lifetime is the net's: replicas leave hooks on its parameters.
    """
    if ranks.count == 1 or any(is_sharded(parameter) for parameter in model.parameters()):
        return model
    return nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)


def is_sharded(tensor: object) -> bool:
    """Whether this rank holds a part of it only."""
    return hasattr(tensor, "full_tensor")


def gathered(state: Any, ranks: Ranks) -> Any:
    """A state dict, however nested, with whole tensors on the CPU for sharded ones.

    All ranks must call it; what the others than the first get is of no use.
    """
    if isinstance(state, dict):
        return {key: gathered(value, ranks) for key, value in state.items()}
    if not is_sharded(state):
        return state
    whole = state.full_tensor()
    return whole.cpu() if ranks.first else None


def load(model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take `model` and `optimizer` of a checkpoint with whole tensors, into a net that may be sharded.

    Raises: KeyError, RuntimeError or ValueError if they are of another net or optimizer.
    """
    own = model.state_dict()
    model.load_state_dict(
        {name: _like(own[name], value) if name in own else value for name, value in state["model"].items()}
    )
    saved = state["optimizer"]
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    places = dict(zip(numbers, parameters, strict=False))
    entries = {
        number: {key: _like(places[number], value) for key, value in entry.items()}
        for number, entry in saved["state"].items()
    }
    for number, entry in entries.items():
        for key, value in entry.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != places[number].shape:
                raise ValueError(f"{key} of parameter {number} has shape {tuple(value.shape)}")
    optimizer.load_state_dict({**saved, "state": entries})


def nonzeros(state: Mapping[str, Tensor], ranks: Ranks) -> dict[str, int]:
    """Non-zero entries of each weight array, which may be sharded; the same in every rank."""
    if not any(map(is_sharded, state.values())):
        return counting.nonzeros(state)
    counts = counting.nonzeros({name: cast(Any, t).to_local() for name, t in state.items()})
    return dict(zip(counts, ranks.sum(torch.tensor(list(counts.values()))).tolist(), strict=True))


def _like(reference: Tensor, value: Any) -> Any:
    """`value` in shards, if it is a tensor of the shape of a sharded one."""
    if not (is_sharded(reference) and isinstance(value, Tensor) and value.shape == reference.shape):
        return value
    from torch.distributed.tensor import distribute_tensor

    sharded = cast(Any, reference)
    return distribute_tensor(value.to(reference.device), sharded.device_mesh, sharded.placements)
