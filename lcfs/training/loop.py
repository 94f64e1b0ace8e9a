"""The training loop: a configuration in, a run directory out; stopping anywhere and resuming changes nothing."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from lcfs.compaction import Compacted, compact
from lcfs.config import TrainConfig
from lcfs.data import Dataset
from lcfs.interrupts import Interrupted, Patience, signal_of
from lcfs.ranks.ranks import Ranks, joined
from lcfs.runs import Run
from lcfs.runs.lock import training_lock
from lcfs.training import own, sharding
from lcfs.training.epoch import Diverged, make_step, train_epoch
from lcfs.training.evaluation import Result, evaluate, measure, named_weights, summary
from lcfs.training.pruning import place, round_metrics, total_epochs
from lcfs.training.restoring import going_on, restore, same_threads
from lcfs.training.session import Session, start
from lcfs.training.step import Step, Totals
from lcfs.training.watching import Progress as Progress
from lcfs.training.watching import Start, Watch, Watcher


def train(
    config: TrainConfig,
    path: str | Path,
    *,
    dataset: Dataset | None = None,
    model: nn.Module | None = None,
    resume: bool = False,
    on_start: Callable[[Start], None] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
) -> Result:
    """Train one net and write its run directory.

    Under torchrun all ranks train this net together, on equal parts of every batch, and call this alike; the first of
    them alone writes files and calls the functions given; all return the result or raise the same error.

    Args:
        config: the run; ignored in favour of the recorded one when resuming.
        path: the run directory, new or, with `resume`, existing.
        dataset: a data set of your own instead of the one that `config.data` names; a resumed run must get it again.
        model: a net of your own, `[batch, *image_shape]` → logits `[batch, classes]`, trained in place, instead of the
            one that `config.architecture` and its sizes describe; a resumed run must get one of the same shapes again.
        resume: whether to continue the run at `path` from its newest checkpoint.
        on_start: called once, before the first step, with what is about to be trained.
        on_step: called within an epoch whenever the loss has been read: on a CPU after every step.
        on_epoch: called after each epoch.

    Returns:
        Errors and accuracies in [0, 1], non-zero weights, description lengths in bits and the bounds that follow.

    Raises:
        InputError: bad configuration, data, model or run directory; `lcfs.runs.lock.Busy` if another process trains it.
        Diverged: a non-finite loss.
    Source: paper, Algorithm 1 and A.2.

    >>> import tempfile, lcfs
    >>> config = TrainConfig("3-fc", base_channels=8, epochs=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = train(config, Path(folder) / "run")
    >>> result.weights
    {'fc1': 512, 'fc2': 64, 'fc3': 80}
    """
    path = Path(path)
    with joined() as ranks, ExitStack() as held:
        with ranks.together():
            handed_in = own.named(dataset, model)
            run = Run.open(path) if resume else None
            config = run.config(handed_in) if run else config
            own.check_fields(config, dataset, model)
        session = start(config, ranks, dataset, model)
        run = run or ranks.from_first(Run.create, path, config, handed_in)
        with ranks.together():
            if ranks.first:
                held.enter_context(training_lock(path))
                run.prepare_for_training()
        if resume:
            held.enter_context(same_threads(run, session.device))
            restore(session, run)
        how = going_on(path, handed_in, ranks)
        try:
            return _Loop(session, run, Watcher(on_start, on_step, on_epoch), how).run_all()
        except KeyboardInterrupt as error:
            if isinstance(error, Interrupted) and str(error):
                raise
            raise Interrupted(f"interrupted; {how}", signal_of(error)) from None


@dataclass
class _Loop:
    """Epochs of a session, and what is written and shown after each of them."""

    session: Session
    run: Run
    watcher: Watcher
    going_on: str
    saved: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.epochs = total_epochs(self.session.config)
        self.watch = Watch(self.session, self.epochs, self.watcher)
        self.step = make_step(self.session)

    @property
    def ranks(self) -> Ranks:
        return self.session.ranks

    def run_all(self) -> Result:
        self.watch.start(self.run)
        with Patience("a checkpoint is written") as patience:
            while self.session.epoch < self.epochs:
                self._run_epoch(patience)
                asked = self.ranks.sum(torch.tensor(float(patience.asked is not None))).item() > 0
                if asked and self.session.epoch < self.epochs:
                    self._save()
                    raise Interrupted(f"{self._reached()}; {self.going_on}", patience.asked or signal.SIGTERM)
        result = measure(self.session.model, self.session.dataset, self.session.permutation, self.ranks)
        ended = summary(result)
        ended["metrics"] |= round_metrics(self.ranks.from_first(self.run.metrics))
        self.ranks.from_first(self.run.write_summary, ended)
        return result

    def _run_epoch(self, patience: Patience) -> None:
        """Train an epoch or what is left of it; a part of it if an end is asked for."""
        session, begun = self.session, time.monotonic()
        if session.pruning and not session.part:
            session.pruning.begin(session.epoch)
        small = compact(session.model, session.optimizer) if session.config.compact else None
        totals = self._train(small, patience)
        if totals is None:
            return
        session.epoch += 1
        nonzeros = sharding.nonzeros(named_weights(session.model), self.ranks)
        self._log(totals, nonzeros, begun, small)
        self._save_if_due()
        self.watch.epoch(totals, sum(nonzeros.values()))

    def _train(self, small: Compacted | None, patience: Patience) -> Totals | None:
        shrunk = small is not None and small.model is not self.session.model
        step: Step = make_step(self.session, small) if shrunk else self.step
        self.watch.begin()
        try:
            return train_epoch(self.session, step, small, lambda: patience.asked is not None, self.watch.step)
        except Diverged as error:
            ended = {"status": "diverged", "metrics": {}, "tags": {"reason": str(error)}}
            self.ranks.from_first(self.run.write_summary, ended)
            raise
        finally:
            self.watch.end()

    def _log(self, totals: Totals, nonzeros: dict[str, int], begun: float, small: Compacted | None) -> None:
        """Append the epoch that is just done to metrics.jsonl."""
        session, ranks = self.session, self.ranks
        record = {"epoch": session.epoch, "time": time.time(), "train/loss": totals.loss}
        record |= {"train/accuracy": totals.accuracy, "train/lr": session.optimizer.param_groups[0]["lr"]}
        record |= {"train/seconds": time.monotonic() - begun}
        record |= {f"sparsity/{name}": count for name, count in nonzeros.items()}
        if small is not None:
            record |= {f"units/{name}": count for name, count in small.units().items()}
        if len(session.dataset.validation):
            error, loss = evaluate(session.model, session.dataset, "validation", session.permutation, ranks)
            record |= {"validation/accuracy": 1 - error, "validation/loss": loss}
        if session.pruning:
            now = place(session.config, session.epoch - 1)
            record["round"] = now.round
            if now.epoch + 1 == session.config.epochs:
                error, _ = evaluate(session.model, session.dataset, "test", session.permutation, ranks)
                record["test/accuracy"] = 1 - error
        ranks.from_first(self.run.log, record)

    def _save_if_due(self) -> None:
        waited = time.monotonic() - self.saved >= self.session.config.checkpoint_seconds
        if self.ranks.from_first(bool, self.session.epoch == self.epochs or waited):
            self._save()

    def _save(self) -> None:
        session = self.session
        steps = session.part.steps if session.part else 0
        self.ranks.from_first(self.run.save_checkpoint, session.epoch, session.state_dict(), steps)
        self.saved = time.monotonic()

    def _reached(self) -> str:
        session = self.session
        if session.part is None:
            return f"interrupted after epoch {session.epoch} of {self.epochs}"
        return f"interrupted after step {session.part.steps} of {session.steps} in epoch {session.epoch + 1}"
