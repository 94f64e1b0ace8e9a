"""Bound the error of a trained net by the length of its description, and have someone else check it.

    python examples/certify_a_checkpoint.py

Five seconds on one core. First the bounds that follow from counting alone, for any state dict; then a certificate: bits
that decode to a net, with the errors of the decoded net. With 1,437 training images the bounds are vacuous, no better
than guessing, and say so; `lcfs verify studies/records/certificates/cifar10-tiny.cert` checks one that is not.
"""

from pathlib import Path

import torch

import lcfs
from lcfs.certificates import Coarsening
from lcfs.config import AugmentConfig, OptimizerConfig

RUN = Path("runs") / "examples" / "certified"


def main() -> None:
    """Train a small net, then look only at its checkpoint."""
    config = lcfs.TrainConfig(
        "s-fc",
        base_channels=1,
        data="digits",
        epochs=20,
        batch_size=64,
        optimizer=OptimizerConfig("beta-lasso", l1_conv=4e-3, l1_fc=2e-3, beta=10.0),
        augment=AugmentConfig(crop=1, flip=False),
    )
    result = lcfs.train(config, RUN)
    digits = lcfs.load_data("digits")

    # Any file of tensors will do here, and nothing in it is run.
    checkpoint = RUN / "checkpoints" / "epoch-000020.pt"
    report = lcfs.bound(checkpoint, train_error=result.train_error, samples=len(digits.train), classes=10)
    best = min(report.bounds, key=lambda bound: bound.value)
    print(
        f"{report.nonzeros:,} of {report.weights:,} numbers are not zero; {len(report.languages)} ways to write them:"
    )
    for language in report.languages:
        print(f"  {language.name}: {language.bits:,.0f} bits")
    vacuous = ", vacuous" if report.verdict.vacuous else ""
    print(f"best bound: error at most {best.value:.4f}{vacuous} (δ = {report.delta:g})")

    # A certificate is stronger: the bits decode, and the errors are those of the net that they decode to.
    ways = [Coarsening(density, bits) for density in (1.0, 0.5) for bits in (3, 4)]
    certificate = lcfs.certify(RUN, candidates=ways)
    certificate.write(RUN / "net.cert")
    print(f"certificate: {certificate.bits:,} bits, {certificate.train_errors} of {len(digits.train)} images wrong")

    verification = lcfs.verify(RUN / "net.cert")
    print(f"verified: {verification.verified}")

    # Whoever changes a bit is found out.
    content = bytearray((RUN / "net.cert").read_bytes())
    content[-1] ^= 0b10000
    (RUN / "forged.cert").write_bytes(bytes(content))
    print(f"a forged one: {lcfs.verify(RUN / 'forged.cert').verified}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # nets this small gain nothing from threads
    main()
