"""Hidden units that are dead for good: which, and why nothing brings them back.

A hidden unit j computes z_j = w_j · x, then y_j = γ_j (z_j − m)/√(s + ε) + b_j with the mean m and variance s of the
batch, then h_j = ReLU(y_j), which the next linear layer reads through its column o_j. "At rest" means: 0, and kept at
0 by the optimizer as long as the gradient is 0 (`lcfs.compaction.motion`).

**A unit with w_j at rest is constant in training.** z_j = 0 on every example, so m = s = 0, y_j = b_j and
h_j = c = ReLU(b_j), in floating point too. The same holds if w_j is at rest but for weights that read removed units of
the layer before, since those emit 0 (case A) or have no outgoing weights (case B). So layers are read front to back.

**Case A, silent: w_j at rest and b_j ≤ 0 for good.** Then c = 0 and ReLU′(b_j) = 0, whatever leaves the unit. The
gradients of w_j, γ_j and b_j pass through ReLU′ and are 0; that of o_j is Σ δ h_j = 0, where δ is the gradient of the
next layer's output and Σ runs over the batch. So w_j and b_j stay as they are by assumption, hence A holds in
every later step. o_j matters to nobody and moves by λ, decay and momentum alone.

**Case B, unread: w_j and o_j at rest, and the next layer has a BatchNorm.** Nothing depends on h_j, so the gradients of
w_j, γ_j and b_j, which are multiples of o_jᵀδ, are 0. That of o_j is Σ δ c = c Σ δ = 0, because BatchNorm's output
does not change when a constant is added to its input: its backward removes the mean of the batch. Hence B holds in
every later step. This needs the next layer to see the same c in every example, position and tap: dropout in between
and zero padding (the border sees 0 instead of c) break it, and then only A is used.

B is an unstable balance: rounding leaves Σ δ near 0 and not at 0, a first o_j ≠ 0 gives w_j a gradient multiplied by
γ_j/√ε, and the two feed each other. β-LASSO's threshold absorbs the roundings; without a threshold on w_j and o_j (SGD)
the unit returns within some ten steps in floating point, so B is then not used.

**The last layer** has no BatchNorm, so a unit before it is removed in case A alone.

**Not dead: w_j = 0, o_j ≠ 0, b_j > 0.** The gradient of w_j is (γ_j/√ε) Σ (o_jᵀδ − its mean) x: the unit comes back.

**Evaluation** uses the running mean M and variance V, which lag: the unit emits ReLU(f), f = −γ_j M/√(V + ε) + b_j. In
case B that is not read. In case A removal also asks for f ≤ 0 now. Later M and V are multiplied by the same t in
(0, 1], and t/√(Vt + ε) grows with t, so −γ_j M t/√(Vt + ε) + b_j ≤ max(f, b_j) ≤ 0: removal is exact in both modes. (If
γ_j and b_j are regularized, unequally because of their velocities, this last step can fail while M fades, for the
values of evaluation only, never for training.)

**Units.** Of an FC layer a unit; of CONV a channel, whose weights and BatchNorm are shared by all its positions, so
that the above holds with Σ over the positions too; of LOCAL each unit at each position. For LOCAL, B is looked for by
whole channels if the next layer is LOCAL. Circles of units that each need the others' death are not found.

Source: paper, A.2 (ReLU nets with BatchNorm); the argument is ours.
"""

from itertools import pairwise

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from lcfs.compaction.chain import Norm, Stage, chain
from lcfs.compaction.motion import check, motion
from lcfs.nets.layers import LocallyConnected


@torch.no_grad()
def dead_units(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[str, Bool[Tensor, " units"]]:
    """The units of each hidden layer that are dead for good, as proved above.

    Args:
        model: an S-, D- or 3-FC net of `lcfs.build`.
        optimizer: what trains it, SGD or BetaLasso; its learning rates must not rise afterwards. Without one, units
            are judged as if no momentum, decay or λ moved them.

    Returns:
        Layer name → mask over its units; over its channels for a CONV layer.

    Raises:
        InputError: another kind of net or optimizer.
    """
    if optimizer is not None:
        check(optimizer)
    dead: dict[str, Tensor] = {}
    gone: Tensor | None = None  # inputs of the layer at hand that are removed
    for stage, after in pairwise(chain(model)):
        if stage.norm is None:
            raise ValueError(f"{stage.name} has no BatchNorm behind it, which the definition of a dead unit needs")
        constant = _constant(stage, motion(stage.layer.weight, optimizer).rests_at_zero(), gone)
        silent = motion(stage.norm.bias, optimizer).stays_nonpositive() & _silent_in_evaluation(stage.norm)
        unread = _unread(stage, after, model, optimizer)
        dead[stage.name] = constant & (silent | unread)
        gone = dead[stage.name]
        if isinstance(after.layer, nn.Linear):
            gone = gone.repeat_interleave(after.layer.in_features // len(gone))
        else:
            gone = gone.view(stage.channels, -1).all(1)
    return dead


def _constant(stage: Stage, resting: Tensor, gone: Tensor | None) -> Bool[Tensor, " units"]:
    """Units all of whose incoming weights rest at 0 or read removed inputs."""
    if gone is not None:
        resting = resting | gone.view(-1, *[1] * (resting.ndim - stage.dims[1] - 1))
    if isinstance(stage.layer, LocallyConnected):
        axes = stage.dims[0]
        return resting.flatten(axes + 1).all(axes + 1).movedim(axes, 0).flatten()
    return resting.flatten(1).all(1)


def _silent_in_evaluation(norm: Norm) -> Bool[Tensor, " units"]:
    if norm.running_mean is None or norm.running_var is None:
        return torch.ones_like(norm.bias, dtype=torch.bool)
    return norm.bias - norm.weight * norm.running_mean / (norm.running_var + norm.eps).sqrt() <= 0


def _unread(
    stage: Stage, after: Stage, model: nn.Module, optimizer: torch.optim.Optimizer | None
) -> Bool[Tensor, " units"]:
    """Units that the next layer does not read and, seeing them constant, will not."""
    assert stage.norm is not None
    none = torch.zeros_like(stage.norm.bias, dtype=torch.bool)
    if after.norm is None or (stage.dropout and getattr(model.get_submodule(stage.dropout), "p", 0.0) > 0):
        return none
    if isinstance(after.layer, nn.Conv1d | nn.Conv2d) and after.layer.padding not in (0, (0,), (0, 0), "valid"):
        return none
    moves = motion(after.layer.weight, optimizer)
    if optimizer is not None and min(moves.threshold, motion(stage.layer.weight, optimizer).threshold) == 0:
        return none
    resting = moves.rests_at_zero()
    columns = resting.movedim(after.dims[1], 0).flatten(1).all(1)
    if columns.numel() > none.numel():  # CONV → FC: a column for each position of a channel
        return columns.view(none.numel(), -1).all(1)
    return columns.repeat_interleave(none.numel() // columns.numel())
