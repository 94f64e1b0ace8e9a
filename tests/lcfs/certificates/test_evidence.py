"""Errors are those of the exact net: a function of one image, whatever the batch, and nothing that rounding decides."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from lcfs import data
from lcfs.certificates import evidence
from lcfs.certificates.evidence import count_errors
from lcfs.data import ImageSet
from lcfs.descriptions.balls import Ball
from lcfs.descriptions.encoded import Decoded, decode, encode
from lcfs.descriptions.float_nets import FloatPredictor
from lcfs.descriptions.quantized_nets import QuantizedPredictor
from lcfs.nets.quantized import Architecture, QuantizedNet

UNITS = 48
PREDICTOR = FloatPredictor("3-fc", UNITS, 3, (1, 2, 2), 2, (0,), (10_000,))


def images(count: int = 60, seed: int = 0) -> ImageSet:
    g = torch.Generator().manual_seed(seed)
    pixels = torch.randint(1, 256, (count, 1, 2, 2), generator=g).byte()
    return ImageSet(pixels, torch.zeros(count, dtype=torch.int64))


def forged(order: np.ndarray) -> Decoded:
    """A net whose hidden units are all equal, summed with weights 1, 1, −2 in some order, and the sum blown up.

    Exactly, both logits are 0 for every image. In floating point they are what rounding left, times 2^100.
    """
    pattern = np.resize(np.array([1, 1, -2], np.float32), UNITS)[order]
    second = np.zeros((UNITS, UNITS), np.float32)
    second[0], second[1] = pattern, -pattern
    last = np.zeros((2, UNITS), np.float32)
    last[0, 0] = last[1, 1] = 2.0**100
    arrays = {
        "fc1.weight": np.full((UNITS, 4), 0.1, np.float32),
        "fc1.bias": np.full(UNITS, 0.3, np.float32),
        "fc2.weight": second,
        "fc2.bias": np.zeros(UNITS, np.float32),
        "fc3.weight": last,
        "fc3.bias": np.zeros(2, np.float32),
    }
    return decode(encode(PREDICTOR, arrays).bits)


def plain_errors(decoded: Decoded, sample: ImageSet, batch: int) -> int:
    """What a count without bounds says."""
    net, wrong = decoded.net(), 0
    for x in sample.images.split(batch):
        logits = net(decoded.predictor.inputs(x))
        wrong += int((logits[:, 0] <= logits[:, 1]).sum())
    return wrong


def test_a_net_that_lives_on_rounding_is_wrong_everywhere() -> None:
    """Negative control: counted plainly, the same function has different errors in another order of its units."""
    sample, orders = images(), [np.random.default_rng(seed).permutation(UNITS) for seed in range(8)]
    plain = {plain_errors(forged(order), sample, batch) for order in orders for batch in (1, 60)}
    assert len(plain) > 1
    assert min(plain) < len(sample)
    assert [count_errors(forged(order), sample) for order in orders] == [[len(sample)]] * len(orders)


def exact_logits(decoded: Decoded, image: Tensor) -> list[Fraction]:
    """A 3-fc net in rational numbers."""
    p, arrays = decoded.predictor, decoded.arrays
    assert isinstance(p, FloatPredictor)
    mean, std = Fraction(p.mean[0], 10_000), Fraction(p.std[0], 10_000)
    x = [(Fraction(int(pixel), 255) - mean) / std for pixel in image.flatten()]
    for i in (1, 2, 3):
        weight, bias = arrays[f"fc{i}.weight"], arrays[f"fc{i}.bias"]
        rows = [[Fraction(float(w)) for w in row] for row in weight]
        x = [
            sum((w * v for w, v in zip(row, x, strict=True)), Fraction(float(b)))
            for row, b in zip(rows, bias, strict=True)
        ]
        x = [max(v, Fraction(0)) for v in x] if i < 3 else x
    return x


@pytest.mark.parametrize("seed", range(4))
def test_logits_are_within_their_bounds_of_rational_ones(seed: int) -> None:
    g = np.random.default_rng(seed)
    predictor = FloatPredictor("3-fc", 6, 3, (1, 2, 2), 3, (4321,), (777,), permutation_seed=seed or None)
    arrays = {name: g.normal(size=shape).astype(np.float32) for name, shape in predictor.layout().items()}
    decoded, sample = decode(encode(predictor, arrays).bits), images(8, seed)
    y = predictor.logits(decoded.net())(sample.images)
    order = data.pixel_permutation(seed, (1, 2, 2)) if seed else torch.arange(4)
    for i, image in enumerate(sample.images):
        difference = [
            Fraction(float(z)) - e
            for z, e in zip(y.center[i], exact_logits(decoded, image.flatten()[order]), strict=True)
        ]
        assert sum(d * d for d in difference) <= Fraction(float(y.radius[i])) ** 2
        assert float(y.radius[i]) < 1e-9


def quantized() -> Decoded:
    torch.manual_seed(0)
    architecture = Architecture(channels=6, stages=((0,), (0, 1)))
    net = QuantizedNet(architecture, 1)
    return decode(encode(QuantizedPredictor(architecture, (1, 8, 8), 10), net.integers()).bits)


def test_bounded_logits_of_a_quantized_net_are_its_logits() -> None:
    """Reference: torch's own layers."""
    decoded, sample = quantized(), data.load("digits").test
    y, expected = decoded.predictor.logits(decoded.net())(sample.images), decoded.net()(sample.images)
    torch.testing.assert_close(y.center, expected, rtol=0, atol=1e-12)
    assert y.radius.max() < 1e-7


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_count_is_the_same_for_every_batch(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = data.load("digits").test
    usual = count_errors(quantized(), sample), count_errors(forged(np.arange(UNITS)), images())
    monkeypatch.setattr(evidence, "_BATCH", batch)
    assert (count_errors(quantized(), sample), count_errors(forged(np.arange(UNITS)), images())) == usual


def test_an_image_is_right_only_by_more_than_its_bounds() -> None:
    """Ties, infinities, NaN and margins within the bounds are wrong; more caution asks for more."""
    nan, inf = torch.nan, torch.inf
    centers = [[1, 1], [inf, 0], [nan, 0], [1, nan], [1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [1, -inf]]
    radii = [0, 0, 0, 0, nan, inf, 0.5, 0.7, 0, 0]
    ball = Ball(torch.tensor(centers).double(), torch.tensor(radii).double())
    labels = torch.zeros(len(centers), dtype=torch.int64)
    right = evidence._right(ball, labels, 1.0).tolist()
    assert right == [False, True, False, False, False, False, True, False, False, True]
    assert evidence._right(ball, labels, 4.0).tolist()[6] is False
    assert evidence._right(Ball(ball.center[4:5], torch.zeros(1).double()), labels[:1], 4.0).tolist() == [True]
