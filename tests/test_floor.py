"""Oracle: the floor's operations are those that torch counts in a step; its bytes, counted by hand for one net."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import lcfs
from benchmarks.floor import floor

WIDTHS = {"resnet18": 2, "3-fc": 8}


@pytest.mark.parametrize("name", lcfs.ARCHITECTURES)
def test_operations_are_those_that_torch_counts(name: str) -> None:
    model = lcfs.build(name, base_channels=WIDTHS.get(name, 2), image=(3, 16, 12))
    x = torch.randn(5, 3, 16, 12)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(x), torch.zeros(5, dtype=torch.int64)).backward()
    assert floor(model, 5, (3, 16, 12)).flops == counter.get_total_flops()


def test_bytes_of_s_fc() -> None:
    """First layer: two products and the update; the others: three."""
    batch, inputs, first, hidden, classes = 4, 192, 64 * 2 // 4, 48, 10
    model = lcfs.build("s-fc", base_channels=2, image=(3, 8, 8))
    layers = [(inputs, first, 2), (first, hidden, 3), (hidden, classes, 3)]
    weights = sum(i * o for i, o, _ in layers)
    products = sum(2 * times * (i * o + batch * (i + o)) for i, o, times in layers)
    norms = (4 + 6) * batch * (first + hidden)
    assert floor(model, batch, (3, 8, 8)).bytes == products + norms + 12 * weights
    assert floor(model, batch, (3, 8, 8), momentum=True).bytes == products + norms + 20 * weights


def test_the_papers_net() -> None:
    """S-FC, α = 150, batch 512: 256 M weights in two products each, those behind the first layer in a third."""
    with torch.device("meta"):
        model = lcfs.build("s-fc", base_channels=150)
    found = floor(model, 512, (3, 32, 32))
    first = 3072 * 38_400
    assert found.flops == 2 * 512 * (3 * 256_240_800 - first)
    assert found.overlapped(1e15, 1e12) == found.bytes / 1e12 < found.in_turn(1e15, 1e12)
    assert found.overlapped(1e12, 1e15) == found.flops / 1e12
