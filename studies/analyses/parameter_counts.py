"""How the six nets grow with α and with the image: Figure 1, Tables 3 and 4.

Claim: CONV grows least and FC most; S-FC grows as α² s⁴, D-FC as α² s⁴ too, and an FC net of α = 150 (S) or 15 (D) has
    256 M weights on CIFAR-10's images.
Paper item: Figure 1, Tables 3 and 4. Command: python -m paper_figures.figure1
Hardware: any. Time: seconds. Expected: the counts of Tables 3 and 4 to the last weight, but for the printed D-LOCAL
    column, which is wrong; no spread.
"""

from dataclasses import dataclass

import torch

import lcfs

NETS = ("s-conv", "s-local", "s-fc", "d-conv", "d-local", "d-fc")
WIDTHS = {"s": (5, 10, 20, 50, 100, 150, 200, 300), "d": (2, 4, 8, 15, 20, 30)}
SIDES = (16, 24, 32, 48, 64, 96, 128)


@dataclass(frozen=True)
class Count:
    """Weights of one net, biases and BatchNorm left out."""

    net: str
    base_channels: int
    side: int
    weights: int


def count(net: str, base_channels: int, side: int = 32) -> Count:
    """Weights of a net on images 3 × side × side with ten classes; nothing is allocated."""
    with torch.device("meta"):
        model = lcfs.build(net, base_channels=base_channels, image=(3, side, side))
    return Count(net, base_channels, side, lcfs.count_weights(model))


def by_width() -> list[Count]:
    """Every net over α at 32 × 32."""
    return [count(net, width) for net in NETS for width in WIDTHS[net[0]]]


def by_side() -> list[Count]:
    """Every net over the side of the image, at α = 150 (S) and 15 (D)."""
    return [count(net, {"s": 150, "d": 15}[net[0]], side) for net in NETS for side in SIDES]
