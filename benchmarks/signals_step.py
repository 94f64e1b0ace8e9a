"""Training steps of the fully-connected nets on signals: their time over that of their bare matrix products.

python -m benchmarks.signals_step [ROUNDS]      one thread; the smallest of ROUNDS (6) ratios' parts, all in one run

Bare products are the forward product, the weight's gradient and, but for the first layer, the input's gradient of every
layer on arrays that exist already. The obvious loop is the same training with torch's own SGD and batches from a
DataLoader. CPU time of the process, so that a busy machine changes little.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lcfs.config import presets
from lcfs.nets.architectures import build_configured
from lcfs.ranks.ranks import ALONE
from lcfs.training.epoch import make_step, train_epoch
from lcfs.training.session import Session, start


def main(rounds: int = 6) -> None:
    """Print a line a preset."""
    torch.set_num_threads(1)
    for name in ("s-fc-beta-lasso", "s-fc-sgd", "3-fc-sgd"):
        session = start(presets("signals")[name], ALONE)
        take_step = make_step(session)
        forms: tuple[Callable[[], object], ...] = (
            lambda session=session, take_step=take_step: train_epoch(session, take_step),
            _bare(session),
            _obvious(session),
        )
        best = [min(times) for times in zip(*([_seconds(form) for form in forms] for _ in range(rounds)), strict=True)]
        step, bare, obvious = (1e3 * seconds / session.steps for seconds in best)
        print(
            f"{name:<16} step {step:.2f} ms, bare products {bare:.2f} ms, ratio {step / bare:.2f}; "
            f"obvious loop {obvious:.2f} ms, ratio {obvious / bare:.2f}"
        )


def _seconds(form: Callable[[], object]) -> float:
    begun = time.process_time()
    form()
    return time.process_time() - begun


def _bare(session: Session) -> Callable[[], None]:
    layers = [module for module in session.model.modules() if isinstance(module, nn.Linear)]
    batch = session.config.batch_size
    arrays = [
        (layer.weight.detach(), torch.randn(batch, layer.in_features), torch.randn(batch, layer.out_features))
        for layer in layers
    ]

    def epoch() -> None:
        for _ in range(session.steps):
            for i, (weight, x, delta) in enumerate(arrays):
                torch.mm(x, weight.T)
                torch.mm(delta.T, x)
                if i:
                    torch.mm(delta, weight)

    return epoch


def _obvious(session: Session) -> Callable[[], None]:
    dataset, config = session.dataset, session.config
    model = build_configured(config, dataset.image_shape, dataset.classes)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=config.optimizer.momentum)
    loader = DataLoader(
        TensorDataset(dataset.train.images, dataset.train.labels), config.batch_size, shuffle=True, drop_last=True
    )

    def epoch() -> None:
        losses, right = 0.0, 0
        for x, y in loader:
            logits: Tensor = model(x)
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses, right = losses + loss.item(), right + int((logits.argmax(1) == y).sum())

    return epoch


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
