"""A CUDA graph on a CPU: torch's operations recorded one by one, and done again on the same memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
# What makes the host wait for the device, has a shape that depends on numbers, or sends a constant from the host.
WAITING = {
    aten._local_scalar_dense,
    aten.bincount,
    aten.equal,
    aten.is_nonzero,
    aten.lift_fresh,
    aten.masked_select,
    aten.nonzero,
    aten.repeat_interleave,
    aten._unique2,
}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class NotCapturable(AssertionError):
    """An operation that a CUDA graph cannot hold."""


class Recording(TorchDispatchMode):
    """Every operation that torch does inside, with the very tensors that it read and wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple, dict, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        packet = func.overloadpacket
        masks = packet in INDEXING and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        if packet in WAITING or masks:
            raise NotCapturable(str(func))
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Do it again: the same operations on the same memory, whatever Python would do by now."""
        for func, args, kwargs, before in self.calls:
            after = func(*args, **kwargs)
            for old, new in zip(tree_leaves(before), tree_leaves(after), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.detach().copy_(new)


def capture(work: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """`recorded_step.Capture` for a CPU, where recording is doing: the first replay has happened already."""
    recording = Recording()
    with recording:
        work()
    rest = iter([lambda: None])

    def replay() -> None:
        next(rest, recording.replay)()

    return replay
