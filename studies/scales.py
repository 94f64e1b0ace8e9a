"""The three sizes at which every study runs."""

from dataclasses import dataclass, field
from typing import Literal

from lcfs.config import Architecture, AugmentConfig, OptimizerConfig, TrainConfig

Data = Literal["digits", "cifar10", "cifar100", "svhn"]
SGD = OptimizerConfig("sgd", momentum=0.9, weight_decay=5e-4)


@dataclass(frozen=True)
class Scale:
    """Widths, length and regularization of the runs of a study.

    shallow, deep: α of the S and D nets. hidden: width of 3-FC. l1_conv, l1_fc: λ. beta: β of "β-LASSO".
    """

    name: str
    data: Data
    shallow: int
    deep: int
    hidden: int
    epochs: int
    batch_size: int
    seeds: tuple[int, ...]
    l1_conv: float
    l1_fc: float
    beta: float
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    precision: Literal["auto", "bf16"] = "auto"

    def config(
        self, net: Architecture, optimizer: OptimizerConfig, seed: int, *, permute_pixels: bool = False
    ) -> TrainConfig:
        """One run of this size."""
        width = self.hidden if net == "3-fc" else self.deep if net.startswith("d-") else self.shallow
        return TrainConfig(
            net,
            base_channels=width,
            data=self.data,
            permute_pixels=permute_pixels,
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=seed,
            precision=self.precision,
            optimizer=optimizer,
            augment=self.augment,
        )

    def beta_lasso(self, beta: float | None = None) -> OptimizerConfig:
        """β-LASSO with this size's λ; β is the size's own unless given."""
        beta = self.beta if beta is None else beta
        return OptimizerConfig("beta-lasso", l1_conv=self.l1_conv, l1_fc=self.l1_fc, beta=beta)


# λ shrinks a weight by at most ηλ a step, in all by about λη/2 times the number of steps: with fewer steps than the
# paper's 400,000 it is larger here, and β smaller, so that the threshold βλ still lies below the initial weights.
SCALES = {
    scale.name: scale
    for scale in (
        Scale("smoke", "digits", 2, 1, 32, 3, 128, (0, 1), 4e-3, 2e-3, 10.0, AugmentConfig(crop=1, flip=False)),
        Scale("laptop", "cifar10", 8, 2, 1400, 10, 128, (0, 1, 2), 2e-4, 5e-5, 10.0, precision="bf16"),
        Scale("paper", "cifar10", 150, 15, 14_540, 400, 512, (0,), 2e-5, 5e-6, 50.0, AugmentConfig("fa-cifar10")),
    )
}
