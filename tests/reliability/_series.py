"""Series of random mishaps: how many, and trainings in processes that may be killed."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.errors import InputError
from lcfs.runs import Run
from lcfs.training.loop import train

CONFIG = TrainConfig(
    "3-fc",
    base_channels=32,
    epochs=12,
    batch_size=64,
    dropout=0.1,
    checkpoint_seconds=0,
    device="cpu",
    optimizer=OptimizerConfig(momentum=0.9),
    augment=AugmentConfig(crop=1, flip=False),
)
FORK = multiprocessing.get_context("fork")  # starts at once: mishaps meet the training, not the imports


def rounds(sample: int, minutes: float) -> Iterator[int]:
    """Seeds of a series: a small sample, or, with LCFS_RELIABILITY=full, as many as begin within some minutes."""
    if os.environ.get("LCFS_RELIABILITY") != "full":
        yield from range(sample)
        return
    until, seed = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < until:
        yield seed
        seed += 1
    print(f"{seed} rounds")


def started(path: Path, said: Any = None, **limits: Any) -> BaseProcess:
    """A process that trains the run at `path` from where it is; what it refuses goes into the queue `said`."""
    process = FORK.Process(target=_train, args=(path, said), kwargs=limits)
    process.start()
    return process


def finish(path: Path) -> None:
    """Train to the end without a mishap."""
    process = started(path)
    process.join(300)
    assert process.exitcode == 0, f"{path} cannot be continued"


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The net of a finished run."""
    return torch.load(Run.open(path).checkpoints()[-1], weights_only=True)["model"]


def assert_nothing_lost(whole: Path, path: Path) -> None:
    """A finished run is that which had no mishaps: weights bit for bit, every epoch, and nothing beside it."""
    expected, actual = weights(whole), weights(path)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    losses = [[record["train/loss"] for record in Run.open(place).metrics()] for place in (whole, path)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == CONFIG.epochs
    summary = Run.open(path).summary()
    assert summary is not None
    assert summary["status"] == "finished"
    assert not [file.name for file in path.rglob(".*.tmp")]


def _train(path: Path, said: Any, file_size: int | None = None) -> None:
    import resource

    torch.set_num_threads(1)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    try:
        train(CONFIG, path, resume=(path / "config.json").exists())
    except InputError as error:
        if said is not None:
            said.put(str(error))
        os._exit(2)
    except KeyboardInterrupt:
        os._exit(130)
