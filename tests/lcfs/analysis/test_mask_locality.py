"""Oracle: masks whose radius is known; the random null; permuted pixels; what has no masks to speak of."""

import numpy as np
import pytest
import torch

from lcfs.analysis.mask_locality import mask_locality
from lcfs.data import pixel_permutation

IMAGE = (3, 32, 32)


def windows(side: int = 5, units: int = 50) -> torch.Tensor:
    """`[units, 3 · 32 · 32]`, each unit sees a window of side × side pixels in all channels."""
    weight = torch.zeros(units, *IMAGE)
    for unit in range(units):
        weight[unit, :, unit % 20 : unit % 20 + side, 3 : 3 + side] = torch.randn(3, side, side)
    return weight.flatten(1)


def test_windows_have_the_radius_of_a_square_and_random_masks_that_of_the_image() -> None:
    found = mask_locality({"conv1.weight": windows()}, IMAGE)
    assert found is not None
    assert found.units == 50
    assert found.radius == pytest.approx(np.sqrt(2 * (5**2 - 1) / 12))
    assert found.random == pytest.approx(np.sqrt(2 * (32**2 - 1) / 12), abs=0.5)  # 13.05 px; 75 random weights


def test_values_do_not_matter_and_permuted_pixels_are_put_back() -> None:
    weight, order = windows(), pixel_permutation(0, IMAGE)
    here = mask_locality({"conv1.weight": weight}, IMAGE)
    assert here is not None
    assert mask_locality({"conv1.weight": weight * torch.rand_like(weight).exp()}, IMAGE) == here
    moved = weight.view(-1, 3, 1024)[..., order].flatten(1)
    back = mask_locality({"conv1.weight": moved}, IMAGE, permutation=order)
    assert back is not None
    assert back.radius == here.radius
    scattered = mask_locality({"conv1.weight": moved}, IMAGE)
    assert scattered is not None
    assert scattered.radius > 10, "negative control: without putting them back nothing is local"


@pytest.mark.parametrize(
    "weight",
    [torch.ones(4, 3072), torch.zeros(4, 3072), torch.eye(3072)[:4], torch.zeros(4, 3, 9, 9), torch.eye(64)],
    ids=["dense", "empty", "too few", "a convolution", "other images"],
)
def test_nothing_to_measure(weight: torch.Tensor) -> None:
    assert mask_locality({"norm.bias": torch.zeros(3), "conv1.weight": weight}, IMAGE) is None
    assert mask_locality({}, IMAGE) is None
