"""One epoch: a pass over the training set in random order, in whole batches."""

import math
from collections.abc import Callable

import torch

from lcfs.compaction import Compacted
from lcfs.ranks.ranks import Ranks
from lcfs.training import sharding
from lcfs.training.pruning import place
from lcfs.training.recorded_step import GraphStep
from lcfs.training.session import Part, Session
from lcfs.training.step import Step, Totals

_LOSS_CHECK = 50  # steps between checks for a non-finite loss on a GPU, where reading it makes the host wait


class Diverged(RuntimeError):
    """The loss became infinite or NaN; the run directory keeps the last good checkpoint."""


def make_step(session: Session, small: Compacted | None = None) -> Step:
    """Steps of the session's net; of `small` for one epoch, for which recording a CUDA graph would not pay."""
    model, optimizer, kind = session.model, session.optimizer, Step
    if small is not None and small.optimizer is not None:
        model, optimizer = small.model, small.optimizer
    elif session.device.type == "cuda" and session.ranks.count == 1 and session.config.recorded_steps:
        kind = GraphStep
    model = sharding.replica(model, session.ranks)
    images = session.dataset.train
    # Pruning and what joins the gradients of several ranks look for them at the weights.
    copies = session.pruning is None and session.ranks.count == 1
    return kind(model, optimizer, session.augmentation, images, session.generator, bf16=session.bf16, copies=copies)


def train_epoch(
    session: Session,
    take_step: Step,
    small: Compacted | None = None,
    stopping: Callable[[], bool] = lambda: False,
    on_totals: Callable[[int, Totals], None] = lambda steps, totals: None,
) -> Totals | None:
    """Train on every image once, but for those that fill no batch; `small` is then written back into the session's net.

    Args:
        stopping: asked after every step whether to leave the rest for later; with several ranks, or without dead units,
            an epoch is never left.
        on_totals: told, whenever the loss has been read, how many steps are done and what was measured in them.

    Returns:
        None if the epoch was left, and `session.part` says where.

    Raises:
        Diverged: a non-finite loss.
    """
    config, images = session.config, session.dataset.train
    rates = _learning_rates(session)
    if session.part is None:
        session.part = Part(torch.randperm(len(images), generator=session.generator, device=session.device))
    order, first = session.part.order, session.part.steps
    batches = order[: session.steps * config.batch_size].split(config.batch_size)
    may_stop = small is None and session.ranks.count == 1
    take_step.begin(session.part.sums)
    for step in range(first, session.steps):
        take_step(session.ranks.own(batches[step]), rates[step])
        if session.device.type == "cpu" or step % _LOSS_CHECK == 0:
            so_far = _totals(take_step, session.ranks)
            _check_finite(so_far, session.epoch + 1, step + 1, config.optimizer.lr)
            on_totals(step + 1, so_far)
        if may_stop and step + 1 < session.steps and stopping():
            session.part = Part(order, step + 1, take_step.sums())
            return None
    session.part = None
    totals = _totals(take_step, session.ranks)
    _check_finite(totals, session.epoch + 1, session.steps, config.optimizer.lr)
    if small is not None:
        small.expand(rates)
    return totals


def cosine(peak: float, step: int, steps: int) -> float:
    """Cosine annealing from `peak` at step 0 towards 0 at `steps` (paper A.2)."""
    return 0.5 * peak * (1 + math.cos(math.pi * step / steps))


def _learning_rates(session: Session) -> list[float]:
    """η of each step of the epoch, rounded to float32: a recorded step holds it on the device, so all steps take it."""
    config = session.config
    first = place(config, session.epoch).epoch * session.steps
    steps = config.epochs * session.steps
    return torch.tensor([cosine(config.optimizer.lr, first + i, steps) for i in range(session.steps)]).tolist()


def _totals(take_step: Step, ranks: Ranks) -> Totals:
    """Totals of all ranks, which have seen equally many images."""
    own = take_step.totals()
    loss, accuracy = ranks.sum(torch.tensor([own.loss, own.accuracy], dtype=torch.float64)).tolist()
    return Totals(loss / ranks.count, accuracy / ranks.count)


def _check_finite(totals: Totals, epoch: int, step: int, lr: float) -> None:
    if not math.isfinite(totals.loss):
        raise Diverged(
            f"the loss is not finite in epoch {epoch}, step {step}; lower --optimizer.lr (now {lr:g}); "
            "the last checkpoint is from before"
        )
