"""Ranks, the processes that train one net together: which one this is, its rows of a batch, what they tell others."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from lcfs.errors import InputError
from lcfs.ranks import torchrun

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class Ranks:
    """This rank among `count` that train one net; alone by default, and then every method leaves things as they are.

    Every rank draws the random numbers of the whole batch from a generator in the same state and keeps those of its
    own rows. So two ranks never draw the same for different images, one generator state is all that a checkpoint
    needs, and any number of ranks trains the same net. The numbers of 512 images take under 40 µs to draw.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this rank is the one that writes files and prints."""
        return self.rank == 0

    def whole(self, rows: int) -> int:
        """Rows of the batch of which this rank holds `rows`."""
        return rows * self.count

    def own(self, batch: Tensor, dim: int = 0) -> Tensor:
        """This rank's rows of a whole batch: one block of them, equal blocks where they divide evenly."""
        return batch if self.count == 1 else batch.tensor_split(self.count, dim)[self.rank]

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, the same bits in each."""
        if self.count == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all ranks, stacked: `[…]` → `[count, …]`."""
        if self.count == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.stack(parts)

    def from_first(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `action` gives in the first rank, the only one that calls it, in every rank; it is pickled."""
        if self.count == 1:
            return action(*args, **kwargs)
        with self.together():
            value: list[Any] = [action(*args, **kwargs) if self.first else None]
        dist.broadcast_object_list(value)
        return value[0]

    @contextmanager
    def first_ahead(self) -> Iterator[None]:
        """Let the first rank go through alone, as to download something, and then the others."""
        if not self.first:
            self.sum(torch.zeros(1))
        try:
            yield
        finally:
            if self.first:
                self.sum(torch.zeros(1))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Refuse in all ranks what one refuses: an InputError inside is raised in every rank, with its sentence."""
        problem = None
        try:
            yield
        except InputError as error:
            if self.count == 1:
                raise
            problem = str(error)
        if self.count > 1:
            problems: list[str | None] = [None] * self.count
            dist.all_gather_object(problems, problem)
            for sentence in problems:
                if sentence is not None:
                    raise InputError(sentence)


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the ranks that torchrun started, or the caller's own process group; alone without either.

    Raises:
        InputError: the environment promises other ranks that cannot be reached.
    """
    if dist.is_available() and dist.is_initialized():
        yield Ranks(dist.get_rank(), dist.get_world_size())
    elif torchrun.count() == 1:
        yield ALONE
    else:
        _join()
        try:
            yield Ranks(dist.get_rank(), dist.get_world_size())
        finally:
            gc.collect()  # replicas in reference cycles hold on to threads of gloo, which abort a rank that ends so
            dist.destroy_process_group()


def _join() -> None:
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the other processes cannot be reached ({error}); "
            "start them with torchrun, or unset WORLD_SIZE"
        ) from error
