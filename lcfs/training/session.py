"""The mutable state of a training: how it starts, what a checkpoint keeps of it, how it goes on from one."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from lcfs import data
from lcfs.augmentation.augment import Augment
from lcfs.config import TrainConfig
from lcfs.data.configured import load_configured
from lcfs.nets.architectures import build_configured
from lcfs.ranks.ranks import Ranks
from lcfs.training import own, sharding
from lcfs.training.devices import check_batch, choose_device
from lcfs.training.optimizers import make_optimizer
from lcfs.training.pruning import Pruning, total_epochs
from lcfs.training.step import Sums


@dataclass(frozen=True)
class Part:
    """An epoch that has begun.

    Attributes:
        order: `[images]`, the indices of the training images as the epoch takes them.
        steps: steps that are done.
        sums: what was measured in them.
    """

    order: Tensor
    steps: int = 0
    sums: Sums = field(default_factory=Sums)


@dataclass
class Session:
    """Everything that a training changes, beside what it reads.

    Attributes:
        generator: source of the order of the images and of their augmentation; the model draws from torch's own.
        permutation: `[height · width]` of the pixels, or None; it depends on the seed alone.
        epoch: epochs that are done, of all rounds of a pruning.
        part: the part of the next epoch that is done, or None between two epochs.
    """

    config: TrainConfig
    dataset: data.Dataset
    model: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    augmentation: Augment
    permutation: Tensor | None
    ranks: Ranks
    epoch: int = 0
    pruning: Pruning | None = None
    part: Part | None = None

    @property
    def device(self) -> torch.device:
        """Where the net and its data lie."""
        return self.generator.device

    @property
    def steps(self) -> int:
        """Steps of one epoch, each on a whole batch."""
        return max(len(self.dataset.train) // self.config.batch_size, 1)

    @property
    def bf16(self) -> bool:
        """Whether matrix products are computed in bfloat16."""
        return self.config.precision == "bf16" or (self.config.precision == "auto" and self.device.type == "cuda")

    def state_dict(self) -> dict[str, Any]:
        """All that changes, as tensors and primitives: a checkpoint. All ranks must call it."""
        state = {
            "epoch": self.epoch,
            "model": sharding.gathered(self.model.state_dict(), self.ranks),
            "optimizer": sharding.gathered(self.optimizer.state_dict(), self.ranks),
            "generator": self.generator.get_state(),
            "torch_rng": torch.get_rng_state(),
        }
        if self.part:
            state["part"] = {"order": self.part.order, "steps": self.part.steps, "sums": asdict(self.part.sums)}
        if self.pruning:
            state["pruning"] = self.pruning.state_dict()
        if self.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint: the inverse of `state_dict`.

        Raises: some exception or other if the state is not one of this session, which is then of no more use.
        """
        if not 0 <= state["epoch"] <= total_epochs(self.config):
            raise ValueError(f"epoch {state['epoch']} is none of {total_epochs(self.config)}")
        self.epoch = state["epoch"]
        sharding.load(self.model, self.optimizer, state)
        if self.pruning:
            self.pruning.load_state_dict(state["pruning"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch_rng"])
        self.part = None
        if part := state.get("part"):
            self.part = Part(part["order"].to(self.device), part["steps"], Sums(**part["sums"]))
        if "cuda_rng" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"])


def start(
    config: TrainConfig, ranks: Ranks, dataset: data.Dataset | None = None, model: nn.Module | None = None
) -> Session:
    """The session before the first step; the data set and the net are the configuration's unless they are handed in.

    Raises:
        InputError: bad configuration, data set or net.
    """
    with ranks.together(), ranks.first_ahead():
        device = choose_device(config, ranks)
        dataset = _on(device, _prepared(config, dataset))
        check_batch(config.batch_size, len(dataset.train), ranks)
        permutation = None
        if config.permute_pixels:
            permutation = data.pixel_permutation(config.seed, dataset.image_shape).to(device)
        augmentation = Augment(config.augment, dataset.mean, dataset.std, permutation, ranks)
        torch.manual_seed(config.seed)
        if model is None:
            with device:
                model = build_configured(config, dataset.image_shape, dataset.classes)
        else:
            model = own.checked(model.to(device), dataset)
    sharding.spread(model, ranks, config.parallel)
    generator = torch.Generator(device).manual_seed(config.seed)
    optimizer = make_optimizer(model, config)
    pruning = Pruning(config, model, optimizer) if config.prune.rounds > 1 else None
    return Session(config, dataset, model, optimizer, generator, augmentation, permutation, ranks, pruning=pruning)


def _prepared(config: TrainConfig, dataset: data.Dataset | None) -> data.Dataset:
    if dataset is None:
        dataset = load_configured(config)
    return data.with_random_labels(dataset, config.seed) if config.random_labels else dataset


def _on(device: torch.device, dataset: data.Dataset) -> data.Dataset:
    splits = {name: getattr(dataset, name).to(device) for name in ("train", "validation", "test")}
    return replace(dataset, **splits)
