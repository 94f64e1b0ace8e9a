"""Negative controls: the assertions fail where they should. Oracle: the error bound against exact fractions."""

import ast
import copy
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import lcfs
from lcfs.embedding.sparse import SparseLinear
from lcfs.errors import InputError
from lcfs.nets.folding import fold_batchnorm
from lcfs.nets.layers import LocallyConnected
from lcfs.testing import (
    Case,
    assert_embeds,
    assert_nested,
    assert_only_embeds,
    conv_layers,
    conv_nets,
    forward_error_bound,
)
from lcfs.testing.filling import fill

ROOT = Path(__file__).parents[3]


@settings(max_examples=25)
@given(conv_nets(exact=True), st.sampled_from(["local", "fc"]), st.integers(0, 2**32 - 1))
def test_one_wrong_weight_is_found_whichever_it_is(case: Case, into: str, seed: int) -> None:
    """Every layer is given numbers that wake it, so that no weight hides behind those before."""
    assert_only_embeds(case.model, into, case.image, exact=True, seed=seed)


class _Zeros(nn.Module):
    """As many zeros as the net gives numbers."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(self.net(x))


@pytest.mark.parametrize("name", ["ten convolutions", "d-conv", "d-local", "d-fc", "resnet18"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_deep_nets_embed_and_zeros_do_not(name: str, dtype: torch.dtype) -> None:
    """A bound that grows by a factor a layer would let both pass."""
    image = (1, 16, 16)
    if name == "ten convolutions":
        layers = [nn.Sequential(nn.Conv2d(1 if i == 0 else 4, 4, 3, padding=1), nn.ReLU()) for i in range(10)]
        net = fill(nn.Sequential(*layers), 0, exact=False).to(dtype)
    else:
        net = fill(lcfs.build(name, base_channels=1, image=image), 0, exact=False).to(dtype)
    assert_embeds(net, "fc", image)
    with pytest.raises(AssertionError, match=r"differs: behind it|nothing is known: rounding alone"):
        assert_embeds(net, _Zeros(net), image)


@pytest.mark.parametrize("layer", ["conv1", "conv5", "norm7", "fc1", "norm_fc1", "fc2"])
def test_the_first_layer_that_differs_is_named(layer: str) -> None:
    image = (1, 16, 16)
    net = fill(lcfs.build("d-conv", base_channels=1, image=image), 0, exact=False)
    broken = lcfs.embed(net, "fc", image)
    with torch.no_grad():
        broken.get_parameter(f"{layer}.weight").view(-1)[1] += 1e-6
    with pytest.raises(AssertionError, match=f"^{layer} differs: behind it, number"):
        assert_embeds(net, broken, image)


def test_a_unit_that_seldom_wakes_is_seen() -> None:
    """Biases of −50: none of 16 images of unit size would wake the units."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    for conv in (net[0], net[2]):
        nn.init.constant_(conv.bias, -50.0)
    assert_embeds(net, "fc", (1, 6, 6))
    for name in ("0.weight", "2.weight"):
        broken = lcfs.embed(net, "fc", (1, 6, 6))
        broken.get_parameter(name).data[3, :7] *= 2
        with pytest.raises(AssertionError, match=f"^{name[0]} differs"):
            assert_embeds(net, broken, (1, 6, 6))


def test_wiring_is_compared_too() -> None:
    """All layers right, but a sum left out: what reaches the next layer is not what does in the net."""

    class Sum(nn.Module):
        def __init__(self, summed: bool) -> None:
            super().__init__()
            self.first, self.second = (nn.Conv1d(2, 2, 3, padding=1) for _ in range(2))
            self.summed = summed

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            return self.second(x + y if self.summed else y)

    net = Sum(True)
    assert_embeds(net, "fc", (2, 6))
    wrong = Sum(False)
    wrong.load_state_dict(net.state_dict())
    with pytest.raises(AssertionError, match=r"^first differs"):
        assert_embeds(net, lcfs.embed(wrong, "fc", (2, 6)), (2, 6))


def test_units_in_another_order_inside_are_an_embedding() -> None:
    """Channels last between the layers: what reaches a layer is permuted, the function is the same."""
    net = nn.Sequential(nn.Conv1d(1, 3, 3), nn.ReLU(), nn.Conv1d(3, 2, 3))
    other = lcfs.embed(net, "fc", (1, 8))
    order = torch.arange(18).reshape(3, 6).T.flatten()
    first, second = other.get_submodule("0"), other.get_submodule("2")
    first.weight.data, first.bias.data = first.weight.data[order], first.bias.data[order]
    with pytest.raises(AssertionError, match=r"^0 differs"):
        assert_embeds(net, other, (1, 8))
    second.weight.data = second.weight.data[:, order]
    assert_only_embeds(net, other, (1, 8))


def test_a_shift_by_one_pixel_is_found() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1))
    embedded = lcfs.embed(net, "fc", (1, 5, 5))
    embedded.get_parameter("0.weight").data = embedded.get_parameter("0.weight").data.roll(1, 1)
    with pytest.raises(AssertionError, match=r"^0 differs: .* they differ by"):
        assert_embeds(net, embedded, (1, 5, 5))


def test_other_outputs_are_found() -> None:
    """An embedding that has forgotten BatchNorm, another that returns NaN, and one of another shape."""
    net = fill(nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)), 0, exact=False)
    for wrong in (net[:1], nn.Sequential(net, nn.Threshold(torch.inf, torch.nan))):
        with pytest.raises(AssertionError, match="they differ by"):
            assert_embeds(net, wrong, (1, 6))
    with pytest.raises(AssertionError, match=r"the net gives \(16, 2, 4\), its embedding \(16, 8\)"):
        assert_embeds(net, nn.Sequential(net, nn.Flatten()), (1, 6))


class _Backwards(nn.Module):
    """A linear layer that sums from the last term to the first."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.flip(1), self.linear.weight.flip(1), self.linear.bias)


@given(conv_nets())
def test_floats_in_another_order_are_not_equal_but_bounded(case: Case) -> None:
    embedded = lcfs.embed(case.model, "fc", case.image)
    for name, module in list(embedded.named_modules()):
        if isinstance(module, nn.Linear):
            parent, _, leaf = name.rpartition(".")
            setattr(embedded.get_submodule(parent), leaf, _Backwards(module))
    assert_embeds(case.model, embedded, case.image)


@pytest.mark.parametrize("name", ["s-conv", "d-conv", "resnet18"])
def test_folded_batchnorm_is_within_the_rounding_of_its_weights(name: str) -> None:
    """In float64 of itself, in float32 when the weights are said to be rounded."""
    net = fill(lcfs.build(name, base_channels=2, image=(1, 8, 8)), 0, exact=False)
    assert_only_embeds(net.double(), fold_batchnorm(net), (1, 8, 8))
    folded = fold_batchnorm(net.float())
    with pytest.raises(AssertionError, match="conv1 differs"):
        assert_embeds(net, folded, (1, 8, 8))
    assert_only_embeds(net, folded, (1, 8, 8), rounded=torch.float32)


def test_short_arithmetic_is_found() -> None:
    """Negative control of the bound: weights rounded to bfloat16, and a net computed in it, are no embedding."""
    net = fill(lcfs.build("s-conv", base_channels=2, image=(1, 8, 8)), 0, exact=False)

    class Short(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return net(x.float()).double()

    for wrong in (Short(), lcfs.embed(net, "fc", (1, 8, 8)).bfloat16()):
        with pytest.raises(AssertionError, match="they differ by"):
            assert_embeds(net, wrong, (1, 8, 8))


def test_a_trace_that_is_not_the_net_is_found() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.calls = nn.Conv1d(1, 1, 1), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1  # the trace has seen the first call only
            return self.conv(x) if self.calls == 1 else -self.conv(x)

    with pytest.raises(AssertionError, match="something else than its trace"):
        assert_embeds(Branches(), lambda x: x, (1, 4))


def test_the_bound_against_exact_arithmetic() -> None:
    """Oracle: a convolution and a Linear behind it in fractions. Half the bound covers each computation."""
    net = fill(nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)), 0, exact=False).float()
    x = torch.randn(4, 2, 6)
    bound, found = forward_error_bound(net, x), net(x)
    conv, linear = net[0], net[3]
    for b in range(4):
        hidden = [
            max(
                Fraction(0),
                Fraction(conv.bias[o].item())
                + sum(
                    Fraction(conv.weight[o, c, t].item()) * Fraction(x[b, c, p + t].item())
                    for c in range(2)
                    for t in range(3)
                ),
            )
            for o in range(3)
            for p in range(4)
        ]
        for o in range(2):
            exact = Fraction(linear.bias[o].item()) + sum(
                Fraction(w.item()) * h for w, h in zip(linear.weight[o], hidden, strict=True)
            )
            error = abs(Fraction(found[b, o].item()) - exact)
            assert error <= Fraction(bound[b, o].item()) / 2
            assert Fraction(bound[b, o].item()) < Fraction(1, 1000)  # and it says something: outputs are near 10


class _Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.sigmoid()


def test_products_of_activations_have_a_bound_and_hard_edges_none() -> None:
    assert_only_embeds(_Gate(), "fc", (1, 4))
    with pytest.raises(InputError, match=r"has no largest slope"):
        assert_embeds(nn.Sequential(nn.Hardshrink()), "fc", (1, 4))


@settings(max_examples=100)
@given(conv_layers(exact=True))
def test_every_layer_is_nested_in_itself_in_local_and_in_fc(case: Case) -> None:
    """CONV ⊂ LOCAL ⊂ FC."""
    layer = case.model.get_submodule("0")
    assert_nested(case.model, layer, case.image, draws=2)
    local = lcfs.embed(case.model, "local", case.image).get_submodule("0")
    if isinstance(local, LocallyConnected):
        assert_nested(case.model, local, case.image, draws=1)
    units = case.model(torch.zeros(1, *case.image).double()).numel()
    assert_nested(case.model, nn.Linear(torch.Size(case.image).numel(), units), case.image, draws=1)


@given(sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=3), extra=st.integers(0, 4))
def test_a_strided_stack_is_nested_in_one_wide_layer(sizes: list[tuple[int, int]], extra: int) -> None:
    """k = 1 + Σ (k_l − 1) S_l taps, stride Π s_l; with a tap less it is not, if the last layer has more than one."""
    inner = nn.Sequential(*(nn.Conv1d(1, 1, k, s, bias=False) for k, s in sizes))
    reach, stride = 1, 1
    for k, s in sizes:
        reach, stride = reach + (k - 1) * stride, stride * s
    image = (1, reach + extra)
    assert_nested(inner, nn.Conv1d(1, 1, reach, stride, bias=False), image)
    if reach > 1 and extra % stride != stride - 1:  # one tap less, and as many outputs
        with pytest.raises(AssertionError, match="is not nested in"):
            assert_nested(inner, nn.Conv1d(1, 1, reach - 1, stride, bias=False), image, draws=10)


@pytest.mark.parametrize(
    ("inner", "outer", "message"),
    [
        (nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(1, 2, 3, padding=1), "outside"),
        (LocallyConnected(1, 2, (5, 5), 3, padding=1), nn.Conv2d(1, 2, 3, padding=1, bias=True), "outside"),
        (nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.Conv2d(1, 2, 3, padding=1), "outside"),
        (nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1, groups=2), "outside"),
        (nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 3, padding=1, bias=False), "a bias"),
        (nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3, padding=1), r"inner maps \(1, 5, 5\) to \(2, 3, 3\), outer to"),
    ],
)
def test_classes_that_are_not_nested(inner: nn.Module, outer: nn.Module, message: str) -> None:
    image = (getattr(inner, "in_channels", 1), 5, 5)
    with pytest.raises(AssertionError, match=message):
        assert_nested(inner, outer, image)


def test_only_affine_nets_are_compared() -> None:
    with pytest.raises(InputError, match="inner must be affine"):
        assert_nested(nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU()), nn.Conv1d(1, 2, 3), (1, 8))
    with pytest.raises(InputError, match="outer must be one convolution"):
        assert_nested(nn.Conv1d(1, 2, 3), nn.ReLU(), (1, 8))
    with pytest.raises(InputError, match="got SparseLinear"):
        assert_nested(nn.Conv1d(1, 2, 3), SparseLinear(torch.ones(0), torch.ones(2, 0).long(), (1, 8)), (1, 8))


def test_hypothesis_is_imported_by_lcfs_testing_only() -> None:
    for file in (ROOT / "lcfs").rglob("*.py"):
        nodes = ast.walk(ast.parse(file.read_text()))
        names = {name for node in nodes for name in _imported(node)}
        assert not {n for n in names if n.startswith(("hypothesis", "lcfs.testing"))} or "testing" in file.parts, file


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
