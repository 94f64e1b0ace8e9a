"""The convolution that each matrix of a fully-connected net stands for, as a structure that a description may name."""

from lcfs.nets.architectures import convolutions
from theory.operators import Convolution


def structures_of(architecture: str, base_channels: int, image: tuple[int, ...]) -> dict[str, Convolution]:
    """`conv1.weight` … of S-FC and D-FC as the convolutions of S-CONV and D-CONV; empty for the other nets.

    >>> structures_of("s-fc", 150, (3, 32, 32))["conv1.weight"].shape
    (38400, 3072)
    """
    if not architecture.endswith("-fc") or architecture == "3-fc":
        return {}
    found, seen = {}, image
    for i, layer in enumerate(convolutions(architecture), start=1):
        convolution = Convolution(
            seen, layer.channels * base_channels, layer.kernel, stride=layer.stride, padding=layer.kernel // 2
        )
        found[f"conv{i}.weight"] = convolution
        seen = (convolution.out_channels, *convolution.out_spatial)
    return found
