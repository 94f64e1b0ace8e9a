"""Discrete descent: moves stay among the integers, are priced as the code charges, and lower the objective."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lcfs import data
from lcfs.descriptions.quantized_language import ideal_bits
from lcfs.nets.fixed_features import front_end
from lcfs.nets.quantized import Architecture, QuantizedNet
from studies.quantized.search import _price_of_moves, search_round, unrejected

SMALL = Architecture(8, ((0,), (0, 1)))
PRICE = 1e-4


@pytest.fixture
def net() -> QuantizedNet:
    found = QuantizedNet(SMALL, 1).train()
    found.hardness = 0.0
    found.settle()
    return found


@pytest.fixture(scope="module")
def sample() -> tuple[Tensor, Tensor]:
    train = data.load("digits").train
    return front_end(train.images[:500]), train.labels[:500]


@torch.no_grad()
def objective(net: QuantizedNet, features: Tensor, labels: Tensor) -> float:
    return F.cross_entropy(net.classify(features), labels).item() + PRICE * ideal_bits(
        net.integers(), net.specification
    )


def test_it_lowers_the_objective_and_stays_in_range(net: QuantizedNet, sample: tuple[Tensor, Tensor]) -> None:
    rejected, before = unrejected(net), objective(net, *sample)
    for number in range(3):
        done = search_round(net, *sample, bit_price=PRICE, number=number, rejected=rejected, images=500, moves=20)
        after = objective(net, *sample)
        assert done.kept > 0, "a random net can be helped"
        # prices are those at the frequencies before the round; a bit more or less of all moves changes little
        assert before - after == pytest.approx(done.gain, abs=20 * PRICE)
        before = after
    for name, tensor in net.specification.items():
        latent = net.latent[name].detach()
        assert torch.equal(latent, latent.round())
        assert latent.abs().max() <= tensor.bound


def test_what_is_rejected_is_undone_and_not_tried_again(net: QuantizedNet, sample: tuple[Tensor, Tensor]) -> None:
    rejected, integers = unrejected(net), net.integers()
    done = search_round(net, *sample, bit_price=0.0, number=0, rejected=rejected, images=500, moves=15)
    refused = sum(int((when == 0).sum()) for when in rejected.values())
    assert done.tried == done.kept + refused == 15
    changed = sum(int((integers[name] != integer).sum()) for name, integer in net.integers().items())
    assert changed == done.kept
    before = {name: when.clone() for name, when in rejected.items()}
    search_round(net, *sample, bit_price=0.0, number=1, rejected=rejected, images=500, moves=15)
    again = [(when == 1) & (before[name] == 0) for name, when in rejected.items()]
    assert not any(part.any() for part in again)


def test_price_of_a_move_is_what_the_code_charges(net: QuantizedNet) -> None:
    """Oracle: the length before and after; they differ by the change of one count of many."""
    prices = _price_of_moves(net, "mix0")
    length = ideal_bits(net.integers(), net.specification)
    latent, bound = net.latent["mix0"].data, net.specification["mix0"].bound
    for direction, step in enumerate((1, -1)):
        leaves = (latent + step).abs() > bound
        assert torch.equal(torch.isinf(prices[direction]), leaves)
        for i, j in np.argwhere(~leaves.numpy())[:5]:
            latent[i, j] += step
            moved = ideal_bits(net.integers(), net.specification)
            latent[i, j] -= step
            assert moved - length == pytest.approx(prices[direction, i, j].item(), abs=0.4)
