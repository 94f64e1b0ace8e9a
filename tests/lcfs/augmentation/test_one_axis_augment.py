"""Augmentation on one axis and of floats: against loops over examples, and the images of old on two axes."""

from itertools import product

import pytest
import torch

from lcfs.augmentation.augment import Augment, normalize
from lcfs.config import AugmentConfig
from lcfs.errors import InputError

PLAIN = {"crop": 0, "flip": False}
SIGNALS = torch.randn(64, 2, 11, generator=torch.Generator().manual_seed(0))


def applied(images: torch.Tensor, **options: object) -> torch.Tensor:
    fields = PLAIN | options
    c = images.shape[1]
    return Augment(AugmentConfig(**fields), (0.0,) * c, (1.0,) * c)(images, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("grid", [(11,), (5, 7)])
def test_shifts_are_circular_and_uniform(grid: tuple[int, ...]) -> None:
    images = torch.randn(2000, 2, *grid)
    moved, axes, seen = applied(images, shift=2), tuple(range(1, len(grid) + 1)), set()
    for before, after in zip(images, moved, strict=True):
        shifts = list(product(range(-2, 3), repeat=len(grid)))
        fits = [s for s in shifts if torch.equal(before.roll(s, axes), after)]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) == 5 ** len(grid)


def test_a_crop_on_one_axis_is_a_shift_with_zeros() -> None:
    seen = set()
    for before, after in zip(SIGNALS, applied(SIGNALS, crop=3), strict=True):
        padded = torch.nn.functional.pad(before, (3, 3))
        fits = [start for start in range(7) if torch.equal(padded[:, start : start + 11], after)]
        assert len(fits) == 1
        seen.add(fits[0])
    assert seen == set(range(7))


def test_noise_has_its_size_and_cutout_its_width() -> None:
    noise = applied(torch.zeros(4000, 1, 40), noise=0.5)
    assert noise.std().item() == pytest.approx(0.5, rel=0.01)  # 160,000 draws: 0.2 %
    assert abs(noise.mean().item()) < 0.01
    zeros = (applied(torch.ones(500, 1, 40), cutout=6) == 0).sum(2)
    assert zeros.max() == 6
    assert zeros.min() >= 3  # the centre lies inside


def test_floats_are_normalized_as_they_are_and_not_changed_in_place() -> None:
    before = SIGNALS.clone()
    found = normalize(SIGNALS, (1.0, -2.0), (2.0, 4.0), torch.arange(10, -1, -1))
    expected = ((SIGNALS - torch.tensor([[1.0], [-2.0]])) / torch.tensor([[2.0], [4.0]])).flip(-1)
    assert torch.equal(found, expected)
    assert torch.equal(SIGNALS, before)
    everything = {"crop": 2, "shift": 1, "flip": True, "noise": 0.1, "cutout": 2}
    assert not torch.equal(applied(SIGNALS, **everything), before)
    assert torch.equal(SIGNALS, before)


@pytest.mark.parametrize(
    ("options", "message"), [({"noise": -1.0}, "noise"), ({"shift": -1}, "shift"), ({"policy": "trivial"}, "bytes")]
)
def test_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        applied(SIGNALS, **options)
