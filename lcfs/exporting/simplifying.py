"""The same function in evaluation with fewer units: BatchNorm folded, constant and unread units removed."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lcfs.compaction.chain import Stage, chain, kept_indices, shrink
from lcfs.nets.folding import fold_batchnorm


@torch.no_grad()
def simplify(model: nn.Module) -> nn.Module:
    """A copy of an S-, D- or 3-FC net that computes the same in evaluation, up to rounding, with fewer units.

    1. BatchNorm is folded into the layer before it (`lcfs.nets.folding`).
    2. Front to back: a unit without incoming weights emits the constant c = ReLU(bias). A linear layer behind it takes
       W c into its bias; behind a padded convolution or a LOCAL layer the unit is removed only if c = 0.
    3. Back to front: a unit without outgoing weights is removed.

    More units go than in training (`lcfs.compaction`), since nothing has to stay what it would have become. Of CONV and
    LOCAL whole channels are removed.

    Raises:
        InputError: a net of another kind, or without running statistics.
    """
    folded = fold_batchnorm(model)
    stages = chain(folded)
    gone: dict[str, Tensor] = {}
    inputs: Tensor | None = None
    for stage, after in pairwise(stages):
        gone[stage.name] = _absorb_constants(stage, after, inputs)
        inputs = gone[stage.name]
        if isinstance(after.layer, nn.Linear):
            inputs = inputs.repeat_interleave(stage.positions)
    outputs: Tensor | None = None
    for stage, after in reversed(list(pairwise(stages))):
        read = after.layer.weight.movedim(after.dims, (0, 1)) != 0
        if outputs is not None:
            read = read[~outputs]
        gone[stage.name] |= ~read.transpose(0, 1).reshape(stage.channels, -1).any(1)
        outputs = gone[stage.name]
    kept = kept_indices(stages, gone)
    return shrink(folded, stages, kept) if kept else folded


def _absorb_constants(stage: Stage, after: Stage, gone: Tensor | None) -> Tensor:
    """Channels that emit constants, after those were put into the next bias and their outgoing weights set to 0."""
    weight, bias = stage.layer.weight.movedim(stage.dims, (0, 1)), stage.layer.bias
    assert bias is not None
    used = weight if gone is None else weight[:, ~gone]
    constant = ~(used != 0).flatten(1).any(1)
    emitted = bias.double().relu().view(stage.channels, -1)
    if isinstance(after.layer, nn.Linear):
        columns = constant.repeat_interleave(stage.positions)
        values = emitted.expand(-1, stage.positions).flatten()[columns]
        assert after.layer.bias is not None
        after.layer.bias.add_(after.layer.weight[:, columns].double() @ values)
    else:
        constant &= (emitted == 0).all(1)
        columns = constant
    after.layer.weight.movedim(after.dims[1], 0)[columns] = 0
    return constant
