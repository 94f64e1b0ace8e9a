"""Frozen configurations of a training run, and the presets that `lcfs train` starts from."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from lcfs.errors import InputError

# `lcfs.nets.architectures.ARCHITECTURES` without its torch import, so that --help is instant; a test compares them.
Architecture = Literal["s-conv", "s-local", "s-fc", "d-conv", "d-local", "d-fc", "3-fc", "resnet18"]
_ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move."""

    name: Literal["sgd", "beta-lasso"] = "sgd"
    """sgd is torch's; beta-lasso is Algorithm 1 (beta 0: plain L1)."""
    lr: float = 0.1
    """Peak learning rate η of the cosine schedule."""
    momentum: float = 0.0
    weight_decay: float = 0.0
    """For sgd only."""
    l1_conv: float = 2e-5
    """λ of the layers that are or replace convolutions (beta-lasso only)."""
    l1_fc: float = 5e-6
    """λ of the other fully-connected layers (beta-lasso only)."""
    beta: float = 50.0
    """Threshold βλ; 0 is plain L1 (beta-lasso only)."""
    one_sided: bool = False
    """Keep θ ≥ βλ instead of |θ| ≥ βλ."""
    threshold: Literal["hard", "soft"] = "hard"
    """hard is Algorithm 1; soft shrinks by ηβλ instead, a proximal step: beta 1 is ISTA (beta-lasso only)."""
    all_parameters: bool = False
    """Regularize biases and BatchNorm too, Algorithm 1 to the letter."""


@dataclass(frozen=True)
class AugmentConfig:
    """What happens to a training image; every image draws for itself."""

    policy: str = "none"
    """none, trivial (TrivialAugmentWide), fa-cifar10, fa-svhn, or a JSON file of sub-policies."""
    crop: int = 4
    """Zero padding of the random crop in pixels, of a signal the largest shift with zeros; 0 for no crop."""
    flip: bool = True
    """Horizontal flip with probability one half."""
    cutout: int = 0
    """Side of the square that is set to zero; 0 for none."""
    shift: int = 0
    """Largest circular shift along every axis, in places; 0 for none."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise, in standard deviations of the data; 0 for none."""


@dataclass(frozen=True)
class PruneConfig:
    """Iterative magnitude pruning with rewinding: train, remove, rewind, train again (see `lcfs.training.pruning`)."""

    rounds: int = 1
    """Trainings; weights are removed before each but the first."""
    fraction: float = 0.0
    """Share of the remaining weights that is removed each time, the smallest magnitudes."""
    rewind_epoch: int = 0
    """Weights and learning rate go back to where they were after this epoch of the first round; 0 is the start."""
    scope: Literal["global", "layer"] = "global"
    """Whether magnitudes are compared across all layers, or within each."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run. The same configuration and seed give the same weights, bit for bit on a CPU.

    Raises:
        InputError: a value out of its range, or two that exclude each other.
    Source: paper A.2 for the recipes of `presets`.

    >>> config = TrainConfig("s-fc", base_channels=4, epochs=2, optimizer=OptimizerConfig("beta-lasso"))
    >>> config.optimizer.beta * config.optimizer.l1_conv  # the threshold βλ
    0.001
    """

    architecture: Architecture
    base_channels: int = 16
    """α of the paper; hidden width for 3-fc; channels of the first stage for resnet18."""
    kernel_size: int = 3
    """Side of resnet18's kernels."""
    dropout: float = 0.0
    """On the inputs of the last two fully-connected layers."""
    data: str = "digits"
    """signals, digits, cifar10, cifar100, svhn, or FILE.npz with x_train, y_train, x_test and y_test;
    presets take signals unless --data says otherwise."""
    samples: int = 0
    """Training signals from the endless stream; 0 is the frozen set of MNIST-1D (signals only)."""
    data_seed: int = 0
    """Of the stream."""
    data_dir: str | None = None
    """Folder of the data set; by default $LCFS_DATA, then the user's cache."""
    validation: int = 0
    """Training images set aside for validation."""
    permute_pixels: bool = False
    """Apply one fixed random permutation to all pixels, after augmentation."""
    random_labels: bool = False
    """Train on labels drawn at random, once and from the seed; validation and test labels stay."""
    epochs: int = 40
    """Epochs of each round of pruning; there is one round unless `prune` says otherwise."""
    batch_size: int = 512
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16: autocast matmuls with fp32 weights and BatchNorm; auto is bf16 on cuda, fp32 on cpu."""
    checkpoint_seconds: float = 60.0
    """Least time between checkpoints, written at ends of epochs; 0 writes one every epoch."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """What each of torchrun's ranks holds: ddp, a copy of the net; fsdp, a shard of its weights and momentum."""
    recorded_steps: bool = True
    """Record a step on a GPU (CUDA graph) and replay it; ordinary steps give the same net, more slowly."""
    compact: bool = False
    """Leave units that are dead for good out of the computation, from epoch to epoch; exact, not for resnet18."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    prune: PruneConfig = field(default_factory=PruneConfig)

    def __post_init__(self) -> None:
        for name in ("base_channels", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("validation", "checkpoint_seconds", "samples", "data_seed"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("lr", "weight_decay", "l1_conv", "l1_fc", "beta"):
            value = getattr(self.optimizer, name)
            if not 0 <= value < float("inf"):
                raise InputError(f"optimizer.{name} must be finite and non-negative, got {value}")
        if not 0 <= self.optimizer.momentum < 1:
            raise InputError(f"optimizer.momentum must lie in [0, 1), got {self.optimizer.momentum}")
        if self.compact and self.architecture == "resnet18":
            raise InputError("compact removes units from a chain of layers, which resnet18 is not; leave compact out")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must lie in 0…2³² - 1, got {self.seed}")
        _check_pruning(self.prune, self.epochs)
        if self.compact and self.prune.rounds > 1:
            raise InputError("compact cannot follow weights that pruning holds at zero; leave compact out")
        if self.parallel == "fsdp" and (self.compact or self.prune.rounds > 1):
            raise InputError("compact and prune need whole weights in every rank; set parallel to ddp")
        if self.compact and self.optimizer.threshold == "soft":
            raise InputError("compact knows what rests under a hard threshold only; leave compact out")
        if self.optimizer.name == "beta-lasso" and self.optimizer.weight_decay:
            raise InputError(
                "optimizer.weight_decay belongs to sgd; beta-lasso has l1_conv and l1_fc instead: set it to 0"
            )
        if self.optimizer.name == "sgd":
            _check_sgd(self.optimizer)


def _check_sgd(optimizer: OptimizerConfig) -> None:
    """SGD has no λ, no β and no threshold; a value given for them would change nothing."""
    for field_of_lasso in ("l1_conv", "l1_fc", "beta", "one_sided", "threshold", "all_parameters"):
        if getattr(optimizer, field_of_lasso) != getattr(OptimizerConfig, field_of_lasso):
            raise InputError(
                f"optimizer.{field_of_lasso} belongs to beta-lasso and sgd takes no notice of it; "
                "leave it out, or choose a preset that ends in l1 or beta-lasso"
            )


def _check_pruning(prune: PruneConfig, epochs: int) -> None:
    if prune.rounds < 1:
        raise InputError(f"prune.rounds must be at least 1, got {prune.rounds}")
    if not 0 <= prune.fraction < 1:
        raise InputError(f"prune.fraction must lie in [0, 1), got {prune.fraction}")
    if not 0 <= prune.rewind_epoch < epochs:
        raise InputError(f"prune.rewind_epoch must lie in 0…{epochs - 1}, got {prune.rewind_epoch}")
    if prune.rounds > 1 and prune.fraction == 0:
        raise InputError("prune.rounds above 1 needs a prune.fraction above 0")
    if prune.rounds == 1 and prune.fraction > 0:
        raise InputError("prune.fraction is removed before the second round; set prune.rounds to 2 or more")


@dataclass(frozen=True)
class _Recipe:
    """Sizes and regularization at which the difference between the methods shows on a data set, on two cores.

    λ belongs to a number of steps: each shrinks a weight by at most ηλ. The paper's λ of 2e-5 are made for 400,000.
    """

    shallow: int
    deep: int
    hidden: int
    epochs: int
    batch_size: int
    l1: tuple[float, float]
    lasso: tuple[float, float]
    augment: AugmentConfig
    precision: Literal["auto", "bf16"] = "auto"

    def config(self, data: str, net: Architecture, method: str) -> TrainConfig:
        """One net by "sgd", "l1" or "beta-lasso"."""
        width = {"3-fc": self.hidden, "resnet18": 64}.get(net, self.deep if net.startswith("d-") else self.shallow)
        optimizer = OptimizerConfig("sgd", momentum=0.9, weight_decay=5e-4)
        if method != "sgd":
            l1_conv, l1_fc = self.l1 if method == "l1" else self.lasso
            beta = 0.0 if method == "l1" else 10.0
            optimizer = OptimizerConfig("beta-lasso", l1_conv=l1_conv, l1_fc=l1_fc, beta=beta)
        return TrainConfig(
            net,
            width,
            data=data,
            epochs=self.epochs,
            batch_size=self.batch_size,
            precision=self.precision,
            optimizer=optimizer,
            augment=self.augment,
        )


_PHOTOS = _Recipe(8, 2, 1400, 10, 128, (2e-4, 5e-5), (2e-4, 5e-5), AugmentConfig(), "bf16")
_RECIPES = {
    "digits": _Recipe(16, 2, 256, 40, 64, (4e-3, 2e-3), (4e-3, 2e-3), AugmentConfig(crop=1, flip=False)),
    "cifar10": _PHOTOS,
    "cifar100": _PHOTOS,
    "svhn": dataclasses.replace(_PHOTOS, augment=AugmentConfig(flip=False)),
}
_SIGNALS = _Recipe(32, 4, 192, 200, 100, (1e-3, 2.5e-4), (1.5e-3, 2e-4), AugmentConfig(crop=0, flip=False))


def presets(data: str = "signals") -> dict[str, TrainConfig]:
    """Every net × {sgd, l1, beta-lasso} by name, e.g. `s-fc-beta-lasso`, as it fits the data set.

    On CIFAR-10 they are the runs of the study `training_fully_connected` on two cores. A mirrored digit is no digit. On
    signals α = 32 (4 for D), 3-FC as wide as the hidden layer of S-FC, 200 epochs without augmentation, in which every
    net fits its training set. Test accuracy of one seed in per cent: S-CONV 92, S-LOCAL 87, 3-FC 73, S-FC 73 by SGD, 82
    by L1, 81 by β-LASSO with 540 of the 25,600 weights of layer 1. Data of one's own get the same settings.
    """
    recipe = _RECIPES.get(data, _SIGNALS)
    return {
        f"{net}-{method}": recipe.config(data, net, method)
        for net in _ARCHITECTURES
        if net != "resnet18" or data != "signals"  # which have one axis
        for method in ("sgd", "l1", "beta-lasso")
    }


def to_dict(config: TrainConfig) -> dict[str, Any]:
    """Nested primitives, as written to config.json."""
    return dataclasses.asdict(config)


def from_dict(values: dict[str, Any]) -> TrainConfig:
    """The inverse of `to_dict`. Raises InputError naming an unknown or missing field."""
    try:
        nested: dict[str, Any] = {
            **values,
            "optimizer": OptimizerConfig(**values["optimizer"]),
            "augment": AugmentConfig(**values["augment"]),
            "prune": PruneConfig(**values.get("prune", {})),  # absent from runs of before there was pruning
        }
        return TrainConfig(**nested)
    except (TypeError, KeyError) as error:
        raise InputError(f"config.json does not describe a run of this version of lcfs: {error}") from error
