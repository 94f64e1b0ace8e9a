"""The training loop: a configuration in, a run directory out; stopping anywhere and resuming changes nothing."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lcfs import data, optim
from lcfs.augmentation import augment
from lcfs.compaction import Compacted, compact
from lcfs.config import TrainConfig
from lcfs.errors import InputError
from lcfs.nets.architectures import build_configured
from lcfs.ranks import torchrun
from lcfs.ranks.ranks import Ranks, processes
from lcfs.runs import Run
from lcfs.training import sharding
from lcfs.training.evaluation import Result, evaluate, measure, named_weights, summary
from lcfs.training.pruning import Pruning, place, round_metrics, total_epochs
from lcfs.training.recorded_step import GraphStep
from lcfs.training.step import Step, Totals

_LOSS_CHECK = 50  # steps between checks for a non-finite loss on a GPU, where reading it makes the host wait


class Diverged(RuntimeError):
    """The loss became infinite or NaN; the run directory keeps the last good checkpoint."""


@dataclass(frozen=True)
class Progress:
    """What a progress line shows after each epoch; `loss` in nats, accuracies in [0, 1]."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    nonzeros: int
    seconds_left: float


@dataclass
class _Session:
    """The mutable state of a run: everything a checkpoint has to hold."""

    config: TrainConfig
    dataset: data.Dataset
    model: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    ranks: Ranks
    epoch: int = 0
    pruning: Pruning | None = None

    @property
    def device(self) -> torch.device:
        return self.generator.device

    @property
    def steps(self) -> int:
        return max(len(self.dataset.train) // self.config.batch_size, 1)


def train(
    config: TrainConfig,
    path: Path,
    *,
    resume: bool = False,
    on_epoch: Callable[[Progress], None] | None = None,
) -> Result:
    """Train one net and write its run directory.

    Under torchrun all its processes train this net together, on equal parts of every batch, and call this alike; the
    first of them alone writes files and calls `on_epoch`, all return the result or raise the same error.

    Args:
        config: the run; ignored in favour of the recorded one when resuming.
        path: the run directory, new or, with `resume`, existing.
        on_epoch: called after each epoch.

    Raises:
        InputError: bad configuration, data or run directory.
        Diverged: a non-finite loss.
    """
    with processes() as ranks:
        return _train(config, path, resume, on_epoch, ranks)


def _train(
    config: TrainConfig, path: Path, resume: bool, on_epoch: Callable[[Progress], None] | None, ranks: Ranks
) -> Result:
    with ranks.together():
        run = Run.open(path) if resume else None
        config = run.config() if run else config
    session = _start(config, ranks)
    dataset, permutation = session.dataset, _pixel_permutation(session)
    augmentation = augment.Augment(config.augment, dataset.mean, dataset.std, permutation, ranks)
    run = run or ranks.from_first(Run.create, path, config)
    with ranks.together():
        state = run.load_checkpoint() if resume else None
    if state is not None:
        _restore(session, state)
    step = _step(session, augmentation)
    saved = time.monotonic()
    started, first = time.monotonic(), session.epoch
    epochs = total_epochs(config)
    while session.epoch < epochs:
        begun = time.monotonic()
        now = place(config, session.epoch)
        if session.pruning:
            session.pruning.begin(session.epoch)
        small = compact(session.model, session.optimizer) if config.compact else None
        try:
            shrunk = small is not None and small.model is not session.model
            totals = _train_epoch(session, _step(session, augmentation, small) if shrunk else step, small)
        except Diverged as error:
            ended = {"status": "diverged", "metrics": {}, "tags": {"reason": str(error)}}
            ranks.from_first(run.write_summary, ended)
            raise
        session.epoch += 1
        nonzeros = sharding.nonzeros(named_weights(session.model), ranks)
        record = {"epoch": session.epoch, "time": time.time(), "train/loss": totals.loss}
        record |= {"train/accuracy": totals.accuracy, "train/lr": session.optimizer.param_groups[0]["lr"]}
        record |= {"train/seconds": time.monotonic() - begun}
        record |= {f"sparsity/{name}": count for name, count in nonzeros.items()}
        if small is not None:
            record |= {f"units/{name}": count for name, count in small.units().items()}
        if len(session.dataset.validation):
            error, validation_loss = evaluate(session.model, session.dataset, "validation", permutation, ranks)
            record |= {"validation/accuracy": 1 - error, "validation/loss": validation_loss}
        if session.pruning:
            record["round"] = now.round
            if now.epoch + 1 == config.epochs:
                record["test/accuracy"] = 1 - evaluate(session.model, session.dataset, "test", permutation, ranks)[0]
        ranks.from_first(run.log, record)
        last = session.epoch == epochs
        if ranks.from_first(bool, last or time.monotonic() - saved >= config.checkpoint_seconds):
            ranks.from_first(run.save_checkpoint, session.epoch, _state(session))
            saved = time.monotonic()
        if on_epoch and ranks.first:
            pace = (time.monotonic() - started) / (session.epoch - first)
            left = pace * (epochs - session.epoch)
            on_epoch(Progress(session.epoch, epochs, totals.loss, totals.accuracy, sum(nonzeros.values()), left))
    result = measure(session.model, session.dataset, permutation, ranks)
    ended = summary(result)
    ended["metrics"] |= round_metrics(ranks.from_first(run.metrics))
    ranks.from_first(run.write_summary, ended)
    return result


def _start(config: TrainConfig, ranks: Ranks) -> _Session:
    with ranks.together(), ranks.first_ahead():
        device = _device(config, ranks)
        dataset = data.load(config.data, folder=config.data_dir, validation=config.validation, seed=config.seed)
        if config.random_labels:
            dataset = data.with_random_labels(dataset, config.seed)
        _check_shares(min(config.batch_size, len(dataset.train)), ranks)
    dataset = data.Dataset(
        dataset.name,
        dataset.train.to(device),
        dataset.validation.to(device),
        dataset.test.to(device),
        dataset.classes,
        dataset.mean,
        dataset.std,
    )
    torch.manual_seed(config.seed)
    with device:
        model = build_configured(config, dataset.image_shape, dataset.classes)
    sharding.spread(model, ranks, config.parallel)
    generator = torch.Generator(device).manual_seed(config.seed)
    optimizer = make_optimizer(model, config)
    pruning = Pruning(config, model, optimizer) if config.prune.rounds > 1 else None
    return _Session(config, dataset, model, optimizer, generator, ranks, pruning=pruning)


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


def _step(session: _Session, augmentation: augment.Augment, small: Compacted | None = None) -> Step:
    """Steps of the session's net; of `small` for one epoch, for which recording a CUDA graph would not pay."""
    model, optimizer, kind = session.model, session.optimizer, Step
    if small is not None and small.optimizer is not None:
        model, optimizer = small.model, small.optimizer
    elif session.device.type == "cuda" and session.ranks.count == 1:
        kind = GraphStep
    model = sharding.replica(model, session.ranks)
    bf16, data = _bf16(session), session.dataset.train
    # Pruning and what joins the gradients of several processes look for them at the weights.
    copies = session.pruning is None and session.ranks.count == 1
    return kind(model, optimizer, augmentation, data, session.generator, bf16=bf16, copies=copies)


def _train_epoch(session: _Session, take: Step, small: Compacted | None = None) -> Totals:
    """One pass in random order over whole batches; `small` is then written back into the session's net."""
    config, train_set = session.config, session.dataset.train
    begun = place(config, session.epoch).epoch * session.steps
    steps = config.epochs * session.steps
    # In float32: a recorded step holds its rate on the device, and the ordinary one shall take the same.
    rates = torch.tensor([cosine(config.optimizer.lr, begun + i, steps) for i in range(session.steps)]).tolist()
    order = torch.randperm(len(train_set), generator=session.generator, device=session.device)
    batches = order[: session.steps * config.batch_size].split(config.batch_size)
    take.begin()
    for step, (batch, rate) in enumerate(zip(batches, rates, strict=True)):
        take(session.ranks.own(batch), rate)
        if session.device.type == "cpu" or step % _LOSS_CHECK == 0:
            _check_finite(_totals(take, session.ranks), session.epoch + 1, step + 1, config.optimizer.lr)
    totals = _totals(take, session.ranks)
    _check_finite(totals, session.epoch + 1, session.steps, config.optimizer.lr)
    if small is not None:
        small.expand(rates)
    return totals


def _totals(take: Step, ranks: Ranks) -> Totals:
    """Of all processes, which have seen equally many images."""
    own = take.totals()
    loss, accuracy = ranks.sum(torch.tensor([own.loss, own.accuracy], dtype=torch.float64)).tolist()
    return Totals(loss / ranks.count, accuracy / ranks.count)


def _check_finite(totals: Totals, epoch: int, step: int, lr: float) -> None:
    if not math.isfinite(totals.loss):
        raise Diverged(
            f"the loss is not finite in epoch {epoch}, step {step}; lower --optimizer.lr (now {lr:g}); "
            "the last checkpoint is from before"
        )


def cosine(peak: float, step: int, steps: int) -> float:
    """Cosine annealing from `peak` at step 0 towards 0 at `steps` (paper A.2)."""
    return 0.5 * peak * (1 + math.cos(math.pi * step / steps))


def _pixel_permutation(session: _Session) -> Tensor | None:
    """A permutation that depends on the seed alone, so that a resumed run sees the same."""
    if not session.config.permute_pixels:
        return None
    return data.pixel_permutation(session.config.seed, session.dataset.image_shape).to(session.device)


def _check_shares(batch: int, ranks: Ranks) -> None:
    if batch % ranks.count:
        raise InputError(
            f"a batch of {batch} images cannot be shared out evenly among {ranks.count} processes; "
            "choose another --batch-size"
        )


def _device(config: TrainConfig, ranks: Ranks) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "--device cuda was asked for and torch sees no GPU; use --device cpu or install a CUDA build of torch"
        )
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if ranks.count == 1:
        return torch.device("cuda")
    if torchrun.local_rank() >= torch.cuda.device_count():
        raise InputError(
            f"this machine has {torch.cuda.device_count()} GPUs, one for each process; "
            "lower --nproc-per-node, or train on --device cpu"
        )
    torch.cuda.set_device(torchrun.local_rank())
    return torch.device("cuda", torchrun.local_rank())


def _bf16(session: _Session) -> bool:
    precision = session.config.precision
    return precision == "bf16" or (precision == "auto" and session.device.type == "cuda")


def _state(session: _Session) -> dict[str, Any]:
    state = {
        "epoch": session.epoch,
        "model": sharding.gathered(session.model.state_dict(), session.ranks),
        "optimizer": sharding.gathered(session.optimizer.state_dict(), session.ranks),
        "generator": session.generator.get_state(),
        "torch_rng": torch.get_rng_state(),
    }
    if session.pruning:
        state["pruning"] = session.pruning.state_dict()
    if session.device.type == "cuda":
        state["cuda_rng"] = torch.cuda.get_rng_state()
    return state


def _restore(session: _Session, state: dict[str, Any]) -> None:
    session.epoch = state["epoch"]
    sharding.load(session.model, session.optimizer, state)
    if session.pruning:
        session.pruning.load_state_dict(state["pruning"])
    session.generator.set_state(state["generator"])
    torch.set_rng_state(state["torch_rng"])
    if "cuda_rng" in state and session.device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda_rng"])
