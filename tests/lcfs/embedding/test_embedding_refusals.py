"""What does not embed is refused with one sentence that names it, and never dropped."""

import operator

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

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
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2)), r"1 \(MaxPool2d\) takes maxima, which are not linear"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveMaxPool2d(2)), r"1 \(AdaptiveMaxPool2d\) takes maxima"),
        (_Net(lambda _, x: nn.functional.max_pool2d(x, 2)), r"max_pool2d \(max_pool2d\) takes maxima"),
        (nn.Sequential(nn.Sequential(nn.GroupNorm(1, 2))), r"0.0 \(GroupNorm\) has no exact embedding here"),
        (nn.Sequential(nn.Softmax(1)), r"0 \(Softmax\)"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.Dropout2d(0.5)), r"1 \(Dropout2d\)"),
        (nn.Sequential(parametrizations.weight_norm(nn.Conv2d(2, 3, 3))), r"0 \(ParametrizedConv2d\)"),
        (nn.Sequential(_Standardized(2, 3, 3)), r"conv2d \(conv2d\)|sub"),
        (_Net(lambda _, x: x[:, :2]), r"getitem \(getitem\)"),
        (_Net(lambda _, x: x.permute(0, 2, 3, 1)), r"permute \(permute\)"),
        (_Net(lambda _, x: relu(x)), r"relu \(relu\) has no exact embedding"),
        (_Net(lambda net, x: x * net.scale), "mul reads a tensor that is no activation"),
        (_Net(lambda _, x: x + x.mean((2, 3), keepdim=True)), r"add broadcasts \(3, 4, 4\) with \(3, 1, 1\)"),
        (_Net(lambda _, x: x.mean(0, keepdim=True)), "returns something else than one tensor"),
        (_Net(lambda _, x: (x, x)), "returns something else than one tensor"),
        (_Net(lambda _, x: x if x.sum() > 0 else -x), "_Net cannot be traced by torch.fx"),
        (_hooked(), "0 has forward hooks"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), "1 is in training mode, .*; call model.eval"),
        (nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)).eval(), "0 has no running statistics"),
        (nn.Sequential(nn.Conv2d(3, 3, 3)), "0 does not take what reaches it .*; check `image`"),
        (nn.Sequential(nn.Linear(6, 2)), r"_0 \(Linear\) sees \(2, 6, 6\), expected 0 axes"),
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
