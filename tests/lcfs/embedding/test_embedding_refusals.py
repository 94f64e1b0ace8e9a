"""What does not embed is refused with one sentence that names it, and never dropped."""

import operator
import warnings

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn import utils
from torch.nn.utils import prune  # noqa: F401  utils.prune

import lcfs
from lcfs.errors import InputError

IMAGE = (2, 6, 6)


class _Net(nn.Module):
    """A convolution, and then what the test is about."""

    def __init__(self, after: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.scale = nn.Parameter(torch.ones(3, 4, 4))
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self, self.conv(x))


class _Standardized(nn.Conv2d):
    """A subclass that computes something else."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight - self.weight.mean(), self.bias)


class _Needs(nn.Module):
    """An argument without a default."""

    def forward(self, x: Tensor, scale: Tensor, more: Tensor | None = None) -> Tensor:
        return x * scale


def _hooked_by(name: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch discourages the old forms
        return nn.Sequential(getattr(utils, name)(nn.Conv2d(2, 3, 3)))


def _hooked() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(2, 3, 3))
    net[0].register_forward_hook(lambda _module, _inputs, y: 2 * y)
    return net


def relu(x: Tensor) -> Tensor:
    """Of the name of torch's, but another."""
    return x


torch.fx.wrap("relu")


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2, return_indices=True)), "something else than one tensor"),
        (
            _Net(lambda _, x: nn.functional.max_pool2d(x, 2, return_indices=True)[0]),
            "a call of max_pool2d_with_indices has no exact",
        ),
        (nn.Sequential(nn.Sequential(nn.InstanceNorm2d(2))), r"^0.0 \(InstanceNorm2d\) has no exact embedding here"),
        (nn.Sequential(_Standardized(2, 3, 3), nn.FractionalMaxPool2d(2, 2)), r"^1 \(FractionalMaxPool2d\) has no"),
        (_hooked_by("weight_norm"), "0 has forward hooks.*; call .*remove_weight_norm on it"),
        (_hooked_by("spectral_norm"), "0 has forward hooks.*; call .*remove_spectral_norm on it"),
        (
            nn.Sequential(utils.prune.l1_unstructured(nn.Conv2d(2, 3, 3), "weight", 0.5)),
            "0 has forward hooks.*; call torch.nn.utils.prune.remove on it first",
        ),
        (_Net(lambda _, x: relu(x)), r"a call of relu has no exact embedding"),
        (_Net(lambda _, x: x.cumsum(1)), r"a call of cumsum has no exact embedding"),
        (_Net(lambda _, x: nn.functional.linear(x, x[0, 0])), "weights that depend on the image"),
        (_Net(lambda _, x: x * torch.arange(2.0)[:, None, None, None]), "with another constant; give one for all"),
        (_Net(lambda _, x: x[:1]), "something else than one tensor"),
        (_Net(lambda _, x: x - x.mean(0, keepdim=True)), "works on what mixes the examples of a batch"),
        (_Net(lambda _, x: x.flip(0)), "mixes the examples of a batch"),
        (_Net(lambda _, x: x + x.mean((2, 3))[:, :, None]), r"broadcasts|does not take"),
        (nn.Sequential(nn.Upsample(scale_factor=2, mode="bicubic")), "0 has the mode 'bicubic'"),
        (_Needs(), "_Needs takes x, scale; only nets of one image embed"),
        (_Net(lambda _, x: x.mean(0, keepdim=True)), "returns something else than one tensor"),
        (_Net(lambda _, x: (x, x)), "returns something else than one tensor"),
        (_Net(lambda _, x: x if x.sum() > 0 else -x), "_Net cannot be traced by torch.fx"),
        (_hooked(), "0 has forward hooks"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), "1 is in training mode, .*; call model.eval"),
        (nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)).eval(), "0 has no running statistics"),
        (nn.Sequential(nn.Conv2d(3, 3, 3)), "0 does not take what reaches it .*; check `image`"),
        (nn.Sequential(nn.Linear(6, 2)), r"^0 \(Linear\) sees \(2, 6, 6\), expected 0 axes"),
        (nn.Sequential(nn.Flatten(0)), "returns something else"),
        (nn.Sequential(nn.ConvTranspose2d(2, 1, 3, dilation=2, output_padding=1)), "output_padding of"),
        (nn.Bilinear(2, 2, 2), "Bilinear takes input1, input2|Bilinear"),
    ],
)
@pytest.mark.parametrize("into", ["local", "fc"])
def test_what_does_not_embed_is_named(net: nn.Module, message: str, into: str) -> None:
    with pytest.raises(InputError, match=message):
        lcfs.embed(net, into, IMAGE)


class _Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return operator.add(x, y)


def test_nets_of_several_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="_Two takes x, y; only nets of one image embed"):
        lcfs.embed(_Two(), "fc", IMAGE)


def test_convolutions_of_a_single_example_are_refused() -> None:
    """torch takes [channels, side, side] for one image; a batch of one-channel images looks alike."""
    with pytest.raises(InputError, match=r"\(Conv2d\) sees \(6, 6\), expected 2 axes after the channels"):
        lcfs.embed(nn.Sequential(nn.Conv2d(2, 2, 3)), "fc", (6, 6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": ()}, "image must be"),
        ({"image": (2, 0, 6)}, "image must be"),
        (
            {"limit_bytes": 1000},
            r"in FC would take 13,824 bytes \(_0 alone 13,824\), .* 1,000; pass sparse=True or raise",
        ),
        ({"limit_bytes": 1000, "into": "local"}, "in LOCAL would take 3,456 bytes .*; raise limit_bytes"),
        ({"limit_bytes": 1000, "sparse": True}, "in FC would take 17,280 bytes"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict, message: str) -> None:
    net = nn.Conv2d(2, 3, 3)
    with pytest.raises(InputError, match=message):
        lcfs.embed(net, **({"into": "fc", "image": IMAGE} | arguments))


def test_another_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the shape checks of the tests would be first
    with pytest.raises(InputError, match='into must be "local" or "fc", got \'conv\''):
        lcfs.embed(nn.Conv2d(2, 3, 3), "conv", IMAGE)


def test_the_guard_acts_before_anything_is_built() -> None:
    """ResNet18 of the paper in FC: more than a hundred GiB, refused on a machine with far less."""
    with torch.device("meta"):
        net = lcfs.build("resnet18", base_channels=64).eval()
    with pytest.raises(InputError, match="over the limit of 4,294,967,296; pass sparse=True"):
        lcfs.embed(net, "fc", (3, 32, 32))


def test_a_refusal_leaves_running_statistics_alone() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    with pytest.raises(InputError):
        lcfs.embed(net, "fc", IMAGE)
    assert net[1].num_batches_tracked == 0


def test_a_refusal_is_one_sentence() -> None:
    """Without the paragraphs that torch.fx adds to an error."""
    with pytest.raises(InputError) as refusal:
        lcfs.embed(nn.Sequential(nn.Conv2d(3, 3, 3)), "fc", IMAGE)
    assert "\n" not in str(refusal.value)
    assert "While executing" not in str(refusal.value)
