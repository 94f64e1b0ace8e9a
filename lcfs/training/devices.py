"""The device that a process trains on, and whether a batch can be shared out among the processes."""

import torch

from lcfs.config import TrainConfig
from lcfs.errors import InputError
from lcfs.ranks import torchrun
from lcfs.ranks.ranks import Ranks


def choose_device(config: TrainConfig, ranks: Ranks) -> torch.device:
    """The CPU or this rank's own GPU, as `config.device` asks.

    Raises:
        InputError: no GPU where one was asked for, or fewer GPUs than ranks.
    """
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
            f"this machine has {torch.cuda.device_count()} GPUs, one for each rank; "
            "lower --nproc-per-node, or train on --device cpu"
        )
    torch.cuda.set_device(torchrun.local_rank())
    return torch.device("cuda", torchrun.local_rank())


def check_batch(batch: int, images: int, ranks: Ranks) -> None:
    """Raises InputError if so many images are more than the training set has, or have no equal parts for all ranks."""
    if batch > images:
        raise InputError(
            f"a batch of {batch:,} images is more than the training set of {images:,} has; lower --batch-size"
        )
    if batch % ranks.count:
        raise InputError(
            f"a batch of {batch} images cannot be shared out evenly among {ranks.count} ranks; "
            "choose another --batch-size"
        )
