"""One training step: augmentation, forward, backward, update; loss and hits stay on the device until they are read."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from lcfs.augmentation.augment import Augment
from lcfs.data import ImageSet
from lcfs.nets.architectures import weights
from lcfs.optim import BetaLasso


@dataclass(frozen=True)
class Totals:
    """Mean loss in nats and accuracy in [0, 1] of the augmented images of all steps since `Step.begin`."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Sums:
    """What has been measured within an epoch: the sum of the losses in nats, hits, and images."""

    loss: float = 0.0
    right: int = 0
    images: int = 0


class Step:
    """Trains on batches of one set of images.

    Args:
        model: from images `[b, c, h, w]` to logits `[b, classes]`; a step leaves it in train mode.
        optimizer: of its parameters; every step sets the learning rate of all its groups.
        augmentation: what happens to a batch of bytes before the net sees it.
        images: training set, on the model's device.
        generator: source of all randomness of the augmentation, on that device too.
        bf16: whether matrix products are autocast to bfloat16; loss, BatchNorm and weights stay in float32.
        copies: whether, with `bf16` and BetaLasso, the net computes with bfloat16 copies of the weights, which the
            update writes on the way, and whose gradients it reads: the same numbers without the casts of every step.
            Nothing else may then look for the gradients of the weights.
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
    ) -> None:
        self.model, self.optimizer = model.train(), optimizer
        self._copies: dict[str, Tensor] = {}
        if isinstance(optimizer, BetaLasso):
            if copies and bf16:
                for name, weight in weights(model):
                    self._copies[name] = weight.detach().to(torch.bfloat16).requires_grad_()
            optimizer.copies = {weight: self._copies[name] for name, weight in weights(model) if name in self._copies}
        self._augmentation, self._images, self._generator, self._bf16 = augmentation, images, generator, bf16
        self._layout = _layout(model) if bf16 and generator.device.type == "cpu" else torch.contiguous_format
        self._loss = torch.zeros((), dtype=torch.float64, device=generator.device)
        self._right = torch.zeros((), dtype=torch.int64, device=generator.device)
        self._seen = 0

    def begin(self, sums: Sums = Sums()) -> None:
        """Start an epoch, or go on within one: set what has been measured, take up weights that others have changed."""
        for name, weight in weights(self.model):
            if name in self._copies:
                self._copies[name].detach().copy_(weight.detach())
        self._loss.fill_(sums.loss)
        self._right.fill_(sums.right)
        self._seen = sums.images

    def __call__(self, batch: Int64[Tensor, " b"], lr: float) -> None:
        """Train on the images of these indices with learning rate `lr`."""
        self._set_lr(lr)
        self._body(batch)
        self._seen += len(batch)

    def totals(self) -> Totals:
        """Read what was measured since `begin`; the host waits for the device."""
        seen = max(self._seen, 1)
        return Totals(self._loss.item() / seen, self._right.item() / seen)

    def sums(self) -> Sums:
        """Read what was measured since the epoch began; the host waits for the device."""
        return Sums(self._loss.item(), int(self._right.item()), self._seen)

    def _set_lr(self, lr: float | Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def _body(self, batch: Tensor) -> None:
        """All that happens on the device; `recorded_step` records it, so nothing here makes the host wait."""
        images, y = self._images.images.index_select(0, batch), self._images.labels[batch]  # whole images, not bytes
        x = self._augmentation(images, self._generator).contiguous(memory_format=self._layout)
        # Every weight is cast once; a cache of casts would outlive the step that a CUDA graph records.
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._bf16, cache_enabled=False):
            logits = functional_call(self.model, self._copies, (x,)) if self._copies else self.model(x)
        loss = F.cross_entropy(logits.float(), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._loss += loss.detach() * len(y)
        self._right += (logits.argmax(1) == y).sum()


def _layout(model: nn.Module) -> torch.memory_format:
    """The order of dimensions in which a net takes images, for the sake of its convolutions in bfloat16 on a CPU.

    With channels first, the gradients of a convolution of a few channels take several times as long as in float32.
    What follows the last convolution is faster with channels first again.
    """
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        return torch.contiguous_format
    convolutions[-1].register_forward_hook(_channels_first)
    return torch.channels_last


def _channels_first(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.contiguous()
