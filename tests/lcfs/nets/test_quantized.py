"""Quantized nets: a function of their integers alone, blind to a flip, on features that float32 computes exactly."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lcfs.errors import InputError
from lcfs.nets.fixed_features import front_end, front_end_channels
from lcfs.nets.quantized import Architecture, QuantizedNet, from_integers

SMALL = Architecture(channels=6, stages=((0,), (0, 1, 1)), levels=2, head_levels=3)


def images(channels: int = 3, size: int = 8, count: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, size, size), generator=torch.Generator().manual_seed(seed)).byte()


def net(architecture: Architecture = SMALL, image_channels: int = 3, seed: int = 0) -> QuantizedNet:
    torch.manual_seed(seed)
    found = QuantizedNet(architecture, image_channels).eval()
    for latent in found.latent.values():
        latent.data.add_(torch.randn(latent.shape))
    return found


def extreme(size: int, channels: int) -> torch.Tensor:
    """Images of 0 and 255 only, whose differences are the largest there are."""
    return torch.where(images(channels, size) > 127, 255, 0).byte()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(1, 3), st.integers(1, 4), st.sampled_from((1, 3, 5)), st.booleans())
def test_levels_make_the_same_net(channels: int, levels: int, head: int, size: int, symmetric: bool) -> None:
    architecture = Architecture(channels, ((0,), (1, 0)), size, symmetric, levels, head)
    original = net(architecture, seed=channels)
    again = from_integers(architecture, original.integers())
    x = images()
    assert torch.equal(original(x), again(x))
    assert all((a == b).all() for a, b in zip(original.integers().values(), again.integers().values(), strict=True))
    assert max(int(abs(level).max()) for level in original.integers().values()) <= max(levels, head)


def test_levels_are_all_there_is() -> None:
    """Latent weights anywhere within half a step give the same logits; one other level does not (negative control)."""
    original, moved = net(), net()
    for latent in moved.latent.values():
        latent.data = latent.data.round() + 0.49 * torch.rand(latent.shape)
    assert torch.equal(original(images()), moved(images()))
    moved.latent["head"].data[0, 0] = 1 - moved.latent["head"].data[0, 0].sign()
    assert not torch.equal(original(images()), moved(images()))


def test_training_hardens_from_latent_weights_to_levels() -> None:
    hard, x = net().train(), images()
    for hardness, same in ((1.0, True), (0.0, False)):
        hard.hardness = hardness
        assert torch.allclose(hard(x), net()(x), atol=1e-5) == same  # w + (round(w) − w) rounds


def test_settled_weights_are_levels() -> None:
    settled = net()
    settled.settle()
    assert all(torch.equal(latent, latent.round()) for latent in settled.latent.values())
    assert torch.equal(settled(images()), net()(images()))
    settled.train().hardness = 0.0
    assert torch.equal(settled(images()), net()(images()))


def test_gradient_goes_straight_through() -> None:
    trained = net().train()
    trained(images()).square().sum().backward()
    assert all(latent.grad is not None and latent.grad.abs().sum() > 0 for latent in trained.latent.values())


@pytest.mark.parametrize("image_channels", [1, 3])
def test_flipped_images_get_the_same_logits(image_channels: int) -> None:
    symmetric = net(image_channels=image_channels).double()
    x = images(image_channels)
    torch.testing.assert_close(symmetric(x.flip(-1)), symmetric(x), rtol=0, atol=1e-12)  # sums in another order
    other = net(Architecture(6, SMALL.stages, symmetric=False), image_channels).double()
    assert (other(x.flip(-1)) - other(x)).abs().max() > 1e-3, "negative control"
    assert (symmetric(x.flip(-2)) - symmetric(x)).abs().max() > 1e-3, "upside down is another image"


@pytest.mark.parametrize("image_channels", [1, 2, 3])
def test_front_end_is_exact(image_channels: int) -> None:
    """Oracle: the same filters as one convolution, in float64."""
    taps = torch.tensor([[1, 3, 3, 1], [-1, -1, 1, 1], [1, -1, -1, 1]], dtype=torch.float64)
    for x in (images(image_channels), extreme(8, image_channels)):
        found = front_end(x)
        assert found.shape == (len(x), front_end_channels(image_channels), 4, 4)
        assert found.dtype == torch.float32
        whole = found.double() * 2**13
        assert torch.equal(whole, whole.round()), "multiples of 2⁻¹³"
        assert whole.abs().max() < 2**21, "of few enough bits"
        colours = x.double()
        if image_channels == 3:
            r, g, b = colours.unbind(1)
            colours = torch.stack([r + g + b - 384, 2 * (r - b), 2 * (2 * g - r - b)], 1)
        else:
            colours = 3 * colours - 384
        padded = torch.nn.functional.pad(colours, (1, 1, 1, 1), mode="replicate")
        gains = {(0, 0): 64, (0, 1): 4, (1, 0): 4, (1, 1): 1, (0, 2): 2, (2, 0): 2}
        planes = {}
        for (i, j), gain in gains.items():
            kernel = torch.outer(taps[i], taps[j])[None, None] / (128 * gain)
            y = torch.nn.functional.conv2d(padded.flatten(0, 1)[:, None], kernel, stride=2)
            planes[i, j] = y.view(len(x), image_channels, 4, 4)
        expected = [y.abs() if j % 2 else y for (_, j), y in planes.items()]
        expected += [planes[order].abs() for order in ((1, 0), (0, 2), (2, 0))]
        assert torch.equal(found.double(), torch.stack(expected, 2).flatten(1, 2))


def test_front_end_of_a_flipped_image_is_flipped() -> None:
    assert torch.equal(front_end(images().flip(-1)), front_end(images()).flip(-1))


def test_brightness_reaches_the_smoothed_image_alone() -> None:
    flat = torch.full((1, 3, 8, 8), 200, dtype=torch.uint8)
    found = front_end(flat)[0]
    assert (found[0] == (600 - 384) / 128).all()
    assert (found[1:] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda levels: levels.pop("head"), "differ in head"),
        (lambda levels: levels.update(more=levels["head"]), "differ in more"),
        (lambda levels: levels.update(stem=levels["stem"][1:]), "stem must be integers"),
        (lambda levels: levels.update(stem=levels["stem"].astype(float)), "got float64"),
        (lambda levels: levels.update(mix0=levels["mix0"] * 0 + 3), "mix0 must be integers in −2…2"),
        (lambda levels: levels.update(head_bias=levels["head_bias"] * 0 - 4), "head_bias must be integers in −3…3"),
    ],
)
def test_wrong_levels_are_refused(change: Any, message: str) -> None:
    levels: dict[str, np.ndarray] = net().integers()
    change(levels)
    with pytest.raises(InputError, match=message):
        from_integers(SMALL, levels)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": 0}, "channels must lie in"),
        ({"channels": 257}, "channels must lie in"),
        ({"kernel_size": 4}, "kernel_size must be odd"),
        ({"kernel_size": 17}, "kernel_size must be odd"),
        ({"levels": 0}, "levels must lie in"),
        ({"head_levels": 128}, "levels must lie in"),
        ({"stages": ()}, "stages must be at least one"),
        ({"stages": ((0, 2),)}, "without a gap"),
        ({"stages": ((-1, 0),)}, "without a gap"),
        ({"stages": ((0,) * 65,)}, "at most 64 blocks"),
    ],
)
def test_impossible_architectures_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Architecture(**fields)


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    SMALL.check_image((3, 8, 12))
    with pytest.raises(InputError, match="multiples of 4"):
        SMALL.check_image((3, 8, 10))


def test_a_net_without_blocks_is_linear_in_its_stem() -> None:
    plain = net(Architecture(channels=4, stages=((),)))
    assert set(plain.integers()) == {"stem", "stem_bias", "head", "head_bias"}
    assert plain(images()).shape == (5, 10)
