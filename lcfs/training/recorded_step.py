"""The training step as one CUDA graph: recorded once, then replayed with new indices and a new learning rate."""

from collections.abc import Callable

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from lcfs.augmentation.augment import Augment
from lcfs.data import ImageSet
from lcfs.training.step import Step

Capture = Callable[[Callable[[], None], torch.Generator], Callable[[], None]]
"""(work, source of its randomness) → what does the same work again on the same memory."""

WARM_UP = 3  # ordinary steps first, in which libraries allocate and optimizers make their state


def cuda_graph(work: Callable[[], None], generator: torch.Generator) -> Callable[[], None]:
    """Record `work` without doing it. A replay moves `generator` and torch's own as doing the work would have."""
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class GraphStep(Step):
    """`Step` with everything from the augmentation to the update in one CUDA graph.

    The first steps are ordinary ones, on a stream of their own, and train like all others: there is no state to put
    back after a warm-up, and the weights are those of `Step`. From then on a step is one launch. A batch of another
    size is an ordinary step, after which the graph is recorded anew.

    Weights and optimizer state must stay where they are in memory, and all numbers of the optimizer but its learning
    rate as they are.

    Args:
        optimizer: takes its learning rate as a tensor on the device, as BetaLasso does; torch's SGD is switched to its
            fused form, the only one of it that does.
        capture: how to record; `cuda_graph` except in tests.
        The others are those of `Step`.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        augmentation: Augment,
        images: ImageSet,
        generator: torch.Generator,
        *,
        bf16: bool,
        copies: bool = False,
        capture: Capture = cuda_graph,
    ) -> None:
        super().__init__(model, optimizer, augmentation, images, generator, bf16=bf16, copies=copies)
        if isinstance(optimizer, torch.optim.SGD) and generator.device.type == "cuda":
            for group in optimizer.param_groups:
                group |= {"fused": True, "foreach": False}
        self._capture = capture
        self._warm_up = WARM_UP
        self._replay: Callable[[], None] | None = None
        self._batch = torch.empty(0, dtype=torch.int64, device=generator.device)
        self._lr = torch.zeros((), device=generator.device)

    def __call__(self, batch: Int64[Tensor, " b"], lr: float) -> None:
        if self._warm_up or (self._replay is not None and len(batch) != len(self._batch)):
            self._ordinary(batch, lr)
            return
        if self._replay is None:
            self._batch = torch.empty_like(batch)
        self._batch.copy_(batch)
        self._lr.fill_(lr)
        if self._replay is None:
            self.optimizer.zero_grad(set_to_none=True)  # what the recording allocates instead stays where it is
            self._replay = self._capture(self._recorded, self._generator)
        self._replay()
        self._set_lr(lr)  # a number again, for whoever reads it
        self._seen += len(batch)

    def _recorded(self) -> None:
        self._set_lr(self._lr)
        self._body(self._batch)

    def _ordinary(self, batch: Tensor, lr: float) -> None:
        # Not the default stream: gradients of steps before a recording must not have been accumulated there.
        self._warm_up = max(self._warm_up - 1, 0)
        self._replay = None  # the optimizer's counts and the gradients now lie elsewhere
        if batch.device.type != "cuda":
            self._on_device_rate(batch, lr)
            return
        own, current = torch.cuda.Stream(batch.device), torch.cuda.current_stream(batch.device)
        own.wait_stream(current)
        with torch.cuda.stream(own):
            self._on_device_rate(batch, lr)
        current.wait_stream(own)

    def _on_device_rate(self, batch: Tensor, lr: float) -> None:
        # As recorded: a kernel that is compiled for a rate on the device cannot be loaded while a graph is recorded.
        self._lr.fill_(lr)
        self._set_lr(self._lr)
        self._body(batch)
        self._set_lr(lr)
        self._seen += len(batch)
