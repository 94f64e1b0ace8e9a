"""Train S-FC, which knows nothing of images, by SGD and by β-LASSO, and compare what is left of it.

    python examples/train.py

Six seconds on one core: 1,437 scanned digits of 8 × 8 pixels, 20 epochs, after which SGD has kept every weight and
β-LASSO 30 % of them; longer runs keep fewer.
"""

from pathlib import Path

import torch

import lcfs
from lcfs.config import AugmentConfig, OptimizerConfig

RUNS = Path("runs") / "examples"

# λ shrinks a weight by at most ηλ a step. The paper's λ of 2e-5 are made for 400,000 steps; here there are 440, so λ is
# larger, and β is smaller, so that the threshold βλ still lies below the initial weights.
OPTIMIZERS = {
    "SGD": OptimizerConfig("sgd", momentum=0.9, weight_decay=5e-4),
    "β-LASSO": OptimizerConfig("beta-lasso", l1_conv=4e-3, l1_fc=2e-3, beta=10.0),
}


def main() -> None:
    """Train both nets; a run that is there already is read instead."""
    for name, optimizer in OPTIMIZERS.items():
        config = lcfs.TrainConfig(
            "s-fc",
            base_channels=4,
            data="digits",
            epochs=20,
            batch_size=64,
            optimizer=optimizer,
            augment=AugmentConfig(crop=1, flip=False),  # a mirrored digit is no digit
        )
        result = lcfs.train(config, RUNS / f"s-fc-{optimizer.name}")
        kept, weights = sum(result.nonzeros.values()), sum(result.weights.values())
        print(
            f"{name}: {100 * result.test_accuracy:.1f} % of the test images right, "
            f"{kept:,} of {weights:,} weights left ({100 * kept / weights:.1f} %)"
        )
    print(f"look at the filters: lcfs inspect {RUNS / 's-fc-beta-lasso'}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # nets this small gain nothing from threads
    main()
