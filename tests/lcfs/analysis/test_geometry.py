"""Planted geometries come back from masks whatever the order of the inputs; shuffled masks lose them."""

import numpy as np
import pytest
import torch

from lcfs.analysis.geometry import embedded, input_map
from lcfs.data import pixel_permutation


def windows(grid: tuple[int, ...], units: int, reach: int) -> torch.Tensor:
    """`[units, places]`: each sees some of the places around its own; on one axis they wrap."""
    random = np.random.default_rng(0)
    at = np.stack(np.unravel_index(np.arange(int(np.prod(grid))), grid), 1)
    masks = np.zeros((units, len(at)))
    for mask in masks:
        apart = np.abs(at - at[random.integers(len(at))])
        if len(grid) == 1:
            apart = np.minimum(apart, grid[0] - apart)
        mask[:] = (apart.max(1) <= reach) & (random.random(len(at)) < 0.7)
    return torch.from_numpy(masks).float()


@pytest.mark.parametrize(("image", "least"), [((1, 40), 0.9), ((1, 10, 12), 0.5)])
def test_planted_windows_give_their_grid_back_in_any_order(image: tuple[int, ...], least: float) -> None:
    weight, order = windows(image[1:], 400, 2), pixel_permutation(3, image)
    found = input_map({"conv1.weight": weight[:, order]}, image, permutation=order)
    assert found is not None
    assert found.kept > least
    assert abs(found.shuffled - found.chance) < 0.06
    assert np.isnan(found.correlations)
    here = input_map({"conv1.weight": weight}, image)
    assert here is not None
    assert here.kept == pytest.approx(found.kept, abs=0.05)
    wrong = input_map({"conv1.weight": weight[:, order]}, image)
    assert wrong is not None
    assert wrong.kept < 0.2, "negative control: with another truth nothing is kept"


def test_correlations_of_a_moving_bump_are_a_circle() -> None:
    image = (1, 40)
    places = (np.arange(40) - np.arange(40)[:, None]) % 40  # everywhere once, so that their sums are those of a circle
    examples = torch.from_numpy(np.exp(-0.5 * np.square(np.minimum(places, 40 - places) / 2.0)))[:, None]
    order = pixel_permutation(3, image)
    weight = windows((40,), 400, 2)[:, order]
    found = input_map({"conv1.weight": weight}, image, permutation=order, examples=examples)
    assert found is not None
    assert found.correlations > 0.9


def test_what_has_no_map() -> None:
    assert input_map({"conv1.weight": torch.ones(5, 40)}, (1, 40)) is None  # no zeros
    assert input_map({"conv1.weight": torch.ones(5, 1, 9)}, (1, 40)) is None
    assert input_map({"conv1.weight": torch.eye(40)}, (1, 40)) is None  # no two inputs together
    lonely = windows((40,), 400, 2)
    lonely[:, 7] = 0.0
    found = input_map({"conv1.weight": lonely}, (1, 40))
    assert found is not None
    assert np.isnan(found.coordinates[7]).all()
    assert np.isnan(embedded(np.zeros((4, 4)))).all()
