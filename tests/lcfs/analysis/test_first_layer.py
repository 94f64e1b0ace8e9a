"""Planted: a convolution hidden in S-FC's first layer is found. Negative control: its pixels permuted, it is not."""

import numpy as np
import pytest
import torch

import lcfs
from lcfs import data
from lcfs.analysis import pictures
from lcfs.analysis.first_layer import FirstLayer, first_layer
from theory.operators import Convolution

IMAGE = (3, 20, 20)


def hidden(order: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """S-FC's state dict with S-CONV's smooth, local filters in its first layer, its units shuffled and rescaled."""
    rng = np.random.default_rng(0)
    layer = Convolution(IMAGE, 2, 9, stride=2, padding=4)
    y, x = np.mgrid[-4:5, -4:5]
    wave = np.exp(-(y**2 + x**2) / 5) * np.stack([np.cos(x), np.sin(x + y)])
    matrix = np.asarray(layer.matrix(wave[:, None] * rng.normal(size=(2, 3, 1, 1))))
    matrix = matrix[rng.permutation(len(matrix))] * rng.uniform(-2, 2, (len(matrix), 1))
    state = lcfs.build("s-fc", base_channels=2, image=IMAGE).state_dict()
    weight = torch.from_numpy(matrix).float().reshape(len(matrix), 3, -1)
    state["conv1.weight"] = (weight if order is None else weight[..., order]).flatten(1)
    return state


def medians(layer: FirstLayer) -> dict[str, tuple[float, float]]:
    return {measure.name: (measure.quantiles[1], measure.permuted) for measure in layer.measures}


def test_a_hidden_convolution_is_found() -> None:
    found = first_layer("s-fc", hidden(), IMAGE)
    assert found.match is not None
    assert found.permuted is not None
    assert found.match.unexplained < 1e-9
    assert found.match.coverage == 1.0
    assert found.match.templates_needed(0.99) == 2
    assert found.permuted.unexplained > 0.3
    here = medians(found)
    radius, shuffled = here["radius of gyration, px"]
    assert radius < 3 < 6 < shuffled
    smooth, scattered = here["Moran's I, z-score"]
    assert smooth > 10 > 3 > abs(scattered)
    for unmoved in ("participation ratio, px", "Hoyer", "Gini"):
        assert here[unmoved][0] == pytest.approx(here[unmoved][1])


def test_the_permutation_of_training_is_undone() -> None:
    order = data.pixel_permutation(5, IMAGE)
    straight, found = first_layer("s-fc", hidden(), IMAGE), first_layer("s-fc", hidden(order), IMAGE, permutation=order)
    assert np.array_equal(found.filters, straight.filters)
    blind = first_layer("s-fc", hidden(order), IMAGE)
    assert blind.match is not None
    assert blind.match.unexplained > 0.3


@pytest.mark.parametrize("net", ["s-conv", "d-local", "d-fc", "3-fc", "resnet18"])
def test_every_net_is_measured_and_drawn(net, tmp_path) -> None:
    state = lcfs.build(net, base_channels=4, image=IMAGE).state_dict()
    found = first_layer(net, state, IMAGE)
    assert found.measured > 0
    assert (found.match is not None) == net.endswith("-fc")
    assert pictures.first_layer(found, tmp_path / "layer.png").stat().st_size > 5000


def test_filters_of_few_nonzeros_are_not_measured() -> None:
    state = hidden()
    state["conv1.weight"] = torch.zeros_like(state["conv1.weight"]).index_fill_(1, torch.arange(19), 1.0)
    assert first_layer("s-fc", state, IMAGE).measures == ()


@pytest.mark.parametrize(
    ("state", "words"), [({}, "no weights"), ({"conv1.weight": torch.ones(4, 7)}, "takes 7 inputs")]
)
def test_mistakes(state: dict, words: str) -> None:
    with pytest.raises(lcfs.InputError, match=words):
        first_layer("s-fc", state, IMAGE)
