"""What people's nets call: each embeds, in LOCAL and in FC, as numbers show; a broken twin does not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

import lcfs
from lcfs.testing import assert_only_embeds

IMAGE = (4, 6, 6)


class Call(nn.Module):
    """A convolution, what the test is about, and a convolution behind it."""

    def __init__(self, call: Callable[["Call", Tensor], Tensor], image: tuple[int, ...] = IMAGE) -> None:
        super().__init__()
        dims = len(image) - 2
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims]
        self.conv = conv(image[0], 4, 3, padding=1)
        self.scale = nn.Parameter(torch.randn(4, *[1] * (dims + 1)))
        self.register_buffer("mean", torch.randn(4, *[1] * (dims + 1)))
        self.gate = nn.Conv2d(4, 4, 1)
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self, self.conv(x))


def _gated(x: Tensor) -> Tensor:
    gate, y = x.chunk(2, dim=1)
    return y * gate


CALLS = {
    "pad, asymmetric": lambda net, x: F.pad(x, (1, 2, 0, 3)),
    "pad with ones": lambda net, x: F.pad(x, (1, 0), value=1.0),
    "crop": lambda net, x: F.pad(x, (-1, 0, 0, -2)),
    "pad, reflect": lambda net, x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "pad, circular": lambda net, x: F.pad(x, (1, 2, 2, 1), mode="circular"),
    "cat": lambda net, x: torch.cat([x, x.relu(), x[:, :1]], 1),
    "cat of columns": lambda net, x: torch.cat((x, x), dim=-1),
    "stack": lambda net, x: torch.stack([x, -x], 2).flatten(1, 2),
    "chunk": lambda net, x: _gated(x),
    "split": lambda net, x: torch.split(x, [1, 3], 1)[1],
    "unbind": lambda net, x: x.unbind(1)[2],
    "slices": lambda net, x: x[:, 1:, ::2, :-1],
    "an index": lambda net, x: x[..., 0],
    "permute": lambda net, x: x.permute(0, 2, 3, 1),
    "transpose": lambda net, x: x.transpose(1, 2).contiguous(),
    "channel shuffle": lambda net, x: x.view(x.size(0), 2, 2, 6, 6).transpose(1, 2).reshape(x.shape[0], -1, 6, 6),
    "pixel shuffle": lambda net, x: F.pixel_shuffle(x, 2),
    "roll and flip": lambda net, x: x.roll(1, 2).flip(3),
    "normalization": lambda net, x: (x - net.mean) / (net.scale.abs() + 1),
    "layer scale": lambda net, x: x + net.scale * x.relu(),
    "a number of the image's size": lambda net, x: x / x.size(1) + x.shape[-1],
    "squeeze and excitation": lambda net, x: x * net.gate(x.mean((2, 3), keepdim=True)).sigmoid(),
    "a sum of broadcasts": lambda net, x: x + F.adaptive_avg_pool2d(x, 1),
    "sum": lambda net, x: x.sum((2, 3)),
    "softmax": lambda net, x: F.softmax(x.mean((2, 3)), dim=1),
    "softmax over channels": lambda net, x: torch.log_softmax(x, 1),
    "layer_norm over channels": lambda net, x: F.layer_norm(x.permute(0, 2, 3, 1), (4,), net.mean.flatten()),
    "nearest": lambda net, x: F.interpolate(x, scale_factor=2),
    "nearest, any size": lambda net, x: F.interpolate(x, size=(5, 8)),
    "bilinear": lambda net, x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
    "bilinear, aligned": lambda net, x: F.interpolate(x, size=(7, 4), mode="bilinear", align_corners=True),
    "max-pooling": lambda net, x: F.max_pool2d(x, 3, 2, 1),
    "max-pooling, ceil": lambda net, x: F.max_pool2d(x, 2, 3, ceil_mode=True),
    "adaptive max-pooling": lambda net, x: F.adaptive_max_pool2d(x, (4, 1)),
    "a convolution as a function": lambda net, x: F.conv2d(x, net.gate.weight - net.gate.weight.mean(), stride=2),
    "a linear layer as a function": lambda net, x: F.linear(x.mean((2, 3)), net.gate.weight[:, :, 0, 0], net.gate.bias),
    "maximum": lambda net, x: torch.maximum(x, x.flip(2)),
}

MODULES = {
    "ZeroPad2d": nn.ZeroPad2d((0, 1, 2, 0)),
    "ConstantPad2d": nn.ConstantPad2d(1, -2.0),
    "ReflectionPad2d": nn.ReflectionPad2d((1, 2, 0, 3)),
    "ReplicationPad2d": nn.ReplicationPad2d(2),
    "CircularPad2d": nn.CircularPad2d((1, 0, 2, 0)),
    "MaxPool2d": nn.MaxPool2d(2),
    "MaxPool2d, dilated": nn.MaxPool2d((2, 3), (1, 2), (1, 0), dilation=(2, 1)),
    "AdaptiveMaxPool2d": nn.AdaptiveMaxPool2d((3, 5)),
    "PixelShuffle": nn.PixelShuffle(2),
    "PixelUnshuffle": nn.PixelUnshuffle(3),
    "ChannelShuffle": nn.ChannelShuffle(2),
    "Upsample": nn.Upsample(scale_factor=(2, 3)),
    "Upsample, bilinear": nn.Upsample(size=(4, 9), mode="bilinear"),
    "UpsamplingBilinear2d": nn.UpsamplingBilinear2d(scale_factor=2),
    "PReLU": nn.PReLU(4),
    "PReLU, one": nn.PReLU(),
    "Dropout2d": nn.Dropout2d(0.5),
    "Softmax2d": nn.Softmax2d(),
    "GroupNorm": nn.GroupNorm(2, 4),
    "LayerNorm": nn.LayerNorm([4, 6, 6]),
}


@pytest.mark.parametrize("into", ["local", "fc"])
@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str, into: str) -> None:
    assert_only_embeds(Call(CALLS[name]).eval(), into, IMAGE)


@pytest.mark.parametrize("into", ["local", "fc"])
@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str, into: str) -> None:
    module = MODULES[name]
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    net = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), module, nn.ReLU()).eval()
    assert_only_embeds(net, into, IMAGE)


@pytest.mark.parametrize(
    ("module", "image"),
    [
        (nn.MaxPool1d(3, 2, 1), (4, 9)),
        (nn.MaxPool3d(2, 1), (4, 3, 4, 2)),
        (nn.ReplicationPad1d((2, 1)), (4, 5)),
        (nn.ConstantPad3d(1, 1.0), (4, 2, 3, 2)),
        (nn.Upsample(scale_factor=2, mode="linear"), (4, 5)),
        (nn.Upsample(scale_factor=2, mode="trilinear"), (4, 2, 3, 2)),
    ],
    ids=str,
)
def test_other_axes(module: nn.Module, image: tuple[int, ...]) -> None:
    assert_only_embeds(nn.Sequential(Call(lambda _, x: x, image), module), "fc", image)


@pytest.mark.parametrize(
    "name", ["chunk", "max-pooling", "squeeze and excitation", "layer scale", "softmax", "pad with ones"]
)
def test_embedded_twice(name: str) -> None:
    """What stands for a call embeds again."""
    net = Call(CALLS[name]).eval()
    for into in ("local", "fc"):
        assert_only_embeds(net, lcfs.embed(lcfs.embed(net, into, IMAGE), "fc", IMAGE), IMAGE)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
def test_parametrizations_are_read_through(kind: str) -> None:
    conv = nn.Conv2d(4, 3, 2)
    conv = getattr(parametrizations, kind)(conv)
    net = nn.Sequential(conv, nn.ReLU()).eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert_only_embeds(net, "fc", IMAGE)
    assert isinstance(lcfs.embed(net, "fc", IMAGE).get_submodule("0"), nn.Linear)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    with pytest.raises(lcfs.InputError, match=r"0 of `like` is parametrized.*remove_parametrizations"):
        lcfs.project(lcfs.embed(net, "fc", IMAGE), net, IMAGE)


def test_a_pruned_layer_embeds_when_its_hook_is_removed() -> None:
    conv = prune.l1_unstructured(nn.Conv2d(4, 3, 3), "weight", 0.5)
    prune.remove(conv, "weight")
    assert_only_embeds(nn.Sequential(conv), "fc", IMAGE)


def test_arguments_keep_their_defaults() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 2, 3)

        def forward(self, x: Tensor, mask: Tensor | None = None, factor: float = 2.0, relu: bool = True) -> Tensor:
            x = factor * self.conv(x)
            x = x.relu() if relu else x
            return x if mask is None else x * mask

    net = Masked()
    assert_only_embeds(net, "fc", (1, 6))


def test_constants_become_one_number_for_each_unit_and_learn_if_they_did() -> None:
    net = Call(CALLS["normalization"]).eval()
    net.scale.requires_grad_(False)
    assert not [name for name, _ in lcfs.embed(net, "fc", IMAGE).named_parameters() if not name.startswith("conv")]
    learning = lcfs.embed(Call(CALLS["layer scale"]).eval(), "fc", IMAGE)
    assert {name: tuple(p.shape) for name, p in learning.named_parameters() if not name.startswith("conv")} == {
        "scale": (4 * 36,)
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_net_without_numbers_takes_any_type(dtype: torch.dtype, sparse: bool) -> None:
    net = nn.Sequential(nn.AvgPool2d(3), nn.ReLU())
    x = torch.randn(2, *IMAGE, dtype=dtype)
    found = lcfs.embed(net, "fc", IMAGE, sparse=sparse)(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found, net(x), rtol=0, atol=4 * torch.finfo(dtype).eps)
