"""Negative controls: the assertions fail where they should. Oracle: the error bound against exact fractions."""

import ast
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
from lcfs.nets.layers import LocallyConnected2d
from lcfs.testing import Case, assert_embeds, assert_nested, conv_layers, conv_nets, forward_error_bound
from lcfs.testing.filling import fill

ROOT = Path(__file__).parents[3]


@given(conv_nets(exact=True), st.integers(0, 2**32 - 1))
def test_one_wrong_weight_is_found(case: Case, seed: int) -> None:
    """A weight that can matter: changing it changes some image's output."""
    embedded = lcfs.embed(case.model, "fc", case.image)
    weights = [p for p in embedded.parameters() if p.ndim == 2 and p.requires_grad]
    if not weights:
        return
    with torch.no_grad():
        weight = weights[-1]
        weight[seed % weight.shape[0], seed % weight.shape[1]] += 1
    x = torch.randint(-4, 5, (64, *case.image), generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        differs = bool((embedded(x) != case.model(x)).any())
    if differs:
        with pytest.raises(AssertionError, match="of which rounding explains"):
            assert_embeds(case.model, embedded, case.image, exact=True, batch=64, seed=1)


def test_a_shift_by_one_pixel_is_found() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1)).double()
    embedded = lcfs.embed(net, "fc", (1, 5, 5))
    embedded.get_parameter("0.weight").data = embedded.get_parameter("0.weight").data.roll(1, 1)
    with pytest.raises(AssertionError, match="they differ by"):
        assert_embeds(net, embedded, (1, 5, 5))


def test_training_mode_statistics_are_found() -> None:
    """An embedding that has forgotten BatchNorm, another that returns NaN, and one of another shape."""
    net = fill(nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)), 0, exact=False)
    for wrong in (net[:1], nn.Sequential(net, nn.Threshold(torch.inf, torch.nan))):
        with pytest.raises(AssertionError, match="they differ by"):
            assert_embeds(net, wrong, (1, 6))
    with pytest.raises(AssertionError, match=r"the net gives \(3, 2, 4\), its embedding \(3, 8\)"):
        assert_embeds(net, nn.Sequential(net, nn.Flatten()), (1, 6))


@given(conv_nets())
def test_floats_in_another_order_are_not_equal_but_bounded(case: Case) -> None:
    """A converter that sums backwards: the same matrices with the units permuted and put back."""
    embedded = lcfs.embed(case.model, "fc", case.image)
    for module in embedded.modules():
        if isinstance(module, nn.Linear):
            module.forward = lambda x, m=module: nn.functional.linear(x.flip(1), m.weight.flip(1), m.bias)
    assert_embeds(case.model, embedded, case.image)


@pytest.mark.parametrize("name", ["s-conv", "d-conv", "resnet18"])
def test_the_bound_holds_for_other_peoples_folding(name: str) -> None:
    net = fill(lcfs.build(name, base_channels=2, image=(1, 8, 8)), 0, exact=False)
    assert_embeds(net, fold_batchnorm(net), (1, 8, 8))


def test_the_bound_is_tight_enough_to_find_short_arithmetic() -> None:
    """Negative control of the bound: a net computed in bfloat16 is no embedding."""
    net = fill(lcfs.build("s-conv", base_channels=2, image=(1, 8, 8)), 0, exact=False)

    class Short(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return net(x).float()

    with pytest.raises(AssertionError, match="they differ by"):
        assert_embeds(net, Short(), (1, 8, 8))


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


def test_products_of_activations_have_no_bound() -> None:
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.sigmoid()

    assert_embeds(Gate().double(), "fc", (1, 4), exact=True)
    with pytest.raises(InputError, match="has no largest slope"):
        assert_embeds(Gate(), "fc", (1, 4))


@settings(max_examples=100)
@given(conv_layers(exact=True))
def test_every_layer_is_nested_in_itself_in_local_and_in_fc(case: Case) -> None:
    """CONV ⊂ LOCAL ⊂ FC."""
    layer = case.model.get_submodule("0")
    assert_nested(case.model, layer, case.image, draws=2)
    local = lcfs.embed(case.model, "local", case.image).get_submodule("0")
    if isinstance(local, LocallyConnected2d):
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
        (LocallyConnected2d(1, 2, (5, 5), 3, padding=1), nn.Conv2d(1, 2, 3, padding=1, bias=True), "outside"),
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


def test_strategies_reach_every_kind_of_layer() -> None:
    seen: set[str] = set()

    @settings(max_examples=150, database=None)
    @given(conv_nets())
    def collect(case: Case) -> None:
        seen.update(type(module).__name__ for module in case.model.modules())

    collect()
    kinds = {"Conv", "ConvTranspose", "BatchNorm", "AvgPool"}
    assert {f"{kind}{axes}d" for kind in kinds for axes in (1, 2, 3)} <= seen
    assert {"LocallyConnected2d", "Linear", "_Residual", "GELU"} <= seen


def test_hypothesis_is_imported_by_lcfs_testing_only() -> None:
    for file in (ROOT / "lcfs").rglob("*.py"):
        nodes = ast.walk(ast.parse(file.read_text()))
        names = {name for node in nodes for name in _imported(node)}
        assert not {n for n in names if n.startswith(("hypothesis", "lcfs.testing"))} or "testing" in file.parts, file


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
