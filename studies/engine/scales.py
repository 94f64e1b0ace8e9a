"""The sizes and recipes at which every study runs."""

from dataclasses import dataclass, field, replace
from typing import Literal

from lcfs.config import Architecture, AugmentConfig, OptimizerConfig, TrainConfig

SGD = OptimizerConfig("sgd", momentum=0.9, weight_decay=5e-4)


@dataclass(frozen=True)
class Scale:
    """Widths, length and regularization of the runs of a study.

    shallow, deep: α of the S and D nets. hidden: width of 3-FC. l1_conv, l1_fc: λ. beta: β of "β-LASSO".
    plain_l1: λ of both kinds under plain L1 (β = 0) in Table 2, where it was chosen by itself; None for the same λ.
    short, narrow: epochs and α of the S nets in wide grids. widths: α of the S nets where it is varied.
    """

    name: str
    data: str
    shallow: int
    deep: int
    hidden: int
    epochs: int
    batch_size: int
    seeds: tuple[int, ...]
    l1_conv: float
    l1_fc: float
    beta: float
    short: int
    narrow: int
    widths: tuple[int, ...]
    plain_l1: tuple[float, float] | None = None
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

    def l1(self) -> OptimizerConfig:
        """Plain L1 (β = 0) with the λ that this size takes for it."""
        conv, fc = self.plain_l1 or (self.l1_conv, self.l1_fc)
        return replace(self.beta_lasso(0.0), l1_conv=conv, l1_fc=fc)

    def short_config(self, net: Architecture, width: int, optimizer: OptimizerConfig, seed: int) -> TrainConfig:
        """One run of a wide grid: `short` epochs of a net of any width."""
        return replace(self.config(net, optimizer, seed), base_channels=width, epochs=self.short)


PAPER_AUGMENTATION = AugmentConfig("fa-cifar10")
"""Fast AutoAugment's policy, crop and flip, the "augmentation of Lim et al." of the paper (A.2)."""

# λ shrinks a weight by at most ηλ a step, in all by about λη/2 times the number of steps: with fewer steps than the
# paper's 400,000 it is larger here, and β smaller, so that the threshold βλ still lies below the initial weights.
_SIZES = {
    scale.name: scale
    for scale in (
        Scale(
            name="smoke",
            data="digits",
            shallow=2,
            deep=1,
            hidden=32,
            epochs=3,
            batch_size=128,
            seeds=(0, 1),
            l1_conv=4e-3,
            l1_fc=2e-3,
            beta=10.0,
            short=2,
            narrow=1,
            widths=(1, 2),
            augment=AugmentConfig(crop=1, flip=False),
        ),
        # MNIST-1D, where every net fits its training set. Matched as in the paper: S-FC and D-FC have about as many
        # weights (150,400 and 203,648), and the hidden layer of 3-FC is 6α.
        Scale(
            name="signals",
            data="signals",
            shallow=32,
            deep=4,
            hidden=192,
            epochs=200,
            batch_size=100,
            seeds=(0, 1, 2, 3, 4),
            l1_conv=1.5e-3,
            l1_fc=2e-4,
            beta=10.0,
            short=200,
            narrow=32,
            widths=(2, 4, 8, 16, 32),
            plain_l1=(1e-3, 2.5e-4),
            augment=AugmentConfig(crop=0, flip=False),
        ),
        Scale(
            name="laptop",
            data="cifar10",
            shallow=8,
            deep=2,
            hidden=1400,
            epochs=10,
            batch_size=128,
            seeds=(0, 1, 2),
            l1_conv=2e-4,
            l1_fc=5e-5,
            beta=10.0,
            short=4,
            narrow=4,
            widths=(1, 2, 4, 8),
            precision="bf16",
        ),
        Scale(
            name="paper",
            data="cifar10",
            shallow=150,
            deep=15,
            hidden=14_540,
            epochs=400,
            batch_size=512,
            seeds=(0,),
            l1_conv=2e-5,
            l1_fc=5e-6,
            beta=50.0,
            short=400,
            narrow=150,
            widths=(10, 20, 50, 100, 150),
            augment=PAPER_AUGMENTATION,
        ),
    )
}

SCALES = _SIZES | {
    # The recipe of a public attempt to repeat the paper: as in the paper, and Cutout, which the paper does not name.
    "public-attempt": replace(_SIZES["paper"], name="public-attempt", augment=replace(PAPER_AUGMENTATION, cutout=16)),
}

DEMO = replace(SCALES["smoke"], name="demo", shallow=8, hidden=128, epochs=40, seeds=(0, 1, 2))
"""The size of `lcfs demo`, which is no scale of the studies."""
