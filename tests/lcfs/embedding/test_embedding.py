"""Algebra (Hypothesis): every layer and net of the strategies embeds exactly in LOCAL and FC, dense and sparse."""

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import lcfs
from lcfs.embedding import SparseLinear
from lcfs.embedding.averages import average_matrix
from lcfs.embedding.geometry import convolution_of
from lcfs.embedding.tracing import trace
from lcfs.nets.layers import LocallyConnected
from lcfs.testing import Case, assert_only_embeds, conv_layers, conv_nets

INTO = st.sampled_from(["local", "fc"])


@settings(max_examples=50)
@given(conv_layers(exact=True), INTO)
def test_layers_of_integers_embed_with_equality(case: Case, into: str) -> None:
    assert_only_embeds(case.model, into, case.image, exact=True)


@settings(max_examples=25)
@given(conv_nets(exact=True), INTO)
def test_nets_of_integers_embed_with_equality(case: Case, into: str) -> None:
    assert_only_embeds(case.model, into, case.image, exact=True)


@settings(max_examples=25)
@given(conv_nets(exact=True))
def test_sparse_and_embedded_twice(case: Case) -> None:
    """CONV ⊂ LOCAL ⊂ FC in two steps is what it is in one."""
    sparse = lcfs.embed(case.model, "fc", case.image, sparse=True)
    assert_only_embeds(case.model, sparse, case.image, exact=True)
    assert_only_embeds(case.model, lcfs.embed(sparse, "fc", case.image), case.image, exact=True)
    local = lcfs.embed(case.model, "local", case.image)
    twice, once = (
        lcfs.embed(local, "fc", case.image).state_dict(),
        lcfs.embed(case.model, "fc", case.image).state_dict(),
    )
    assert twice.keys() == once.keys()
    assert all(torch.equal(twice[name], once[name]) for name in once)


@settings(max_examples=25)
@given(conv_nets(), INTO)
def test_floats_obey_the_forward_error_bound(case: Case, into: str) -> None:
    assert_only_embeds(case.model, into, case.image)


@given(conv_nets(), st.booleans())
def test_an_embedding_in_fc_has_no_layers_but_linear_ones_and_units(case: Case, sparse: bool) -> None:
    """Nothing in it knows an image; every weight of the net is found again."""
    embedded = lcfs.embed(case.model, "fc", case.image, sparse=sparse)
    leaves = [module for module in embedded.modules() if not list(module.children())]
    assert not any(type(module).__name__[-2:] in ("2d", "3d") for module in leaves)
    assert not any(isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.AvgPool1d) for module in leaves)
    names = {name.rpartition(".")[0] for name in case.model.state_dict()}
    assert names <= {name.rpartition(".")[0] for name in embedded.state_dict()}


@given(conv_layers(exact=True))
def test_gradient_of_the_net_is_the_adjoint_of_the_embedding(case: Case) -> None:
    """Eᵀ ∇_W L = ∇_w L with L = ½ ‖y‖², in integers: equal. The bias collects that of its units."""
    embedded = lcfs.embed(case.model, "fc", case.image)
    x = torch.randint(-4, 5, (2, *case.image)).double()
    for net in (case.model, embedded):
        net.zero_grad()
        (net(x).square().sum() / 2).backward()
    layer, matrix = case.model.get_submodule("0"), embedded.get_submodule("0")
    after = tuple(case.model(x).shape[1:])
    convolution = convolution_of("0", layer, case.image, after)
    assert convolution is not None
    gradient = matrix.weight.grad.numpy()
    if isinstance(layer, LocallyConnected):
        of_local = torch.from_numpy(convolution.to_local(gradient))
        taps = torch.from_numpy(convolution.to_local(convolution.csr(torch.ones(convolution.weight_shape).numpy())))
        assert torch.equal(layer.weight.grad * taps, of_local)
    else:
        transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        found = convolution.gradient(gradient.T if transposed else gradient)
        assert (found == layer.weight.grad.numpy()).all()
    if layer.bias is not None:
        units = matrix.bias.grad.reshape(layer.bias.numel(), -1)
        assert torch.equal(units.sum(1), layer.bias.grad.flatten())


@given(conv_layers(exact=True))
def test_sparse_layers_learn_as_dense_ones_do(case: Case) -> None:
    """Gradients of SparseLinear are those of Linear where it has entries; integers, hence equal."""
    sparse, dense = (lcfs.embed(case.model, "fc", case.image, sparse=form) for form in (True, False))
    x = torch.randint(-4, 5, (3, *case.image)).double()
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for net, leaf in zip((sparse, dense), inputs, strict=True):
        (net(leaf).square().sum() / 2).backward()
    ours, theirs = sparse.get_submodule("0"), dense.get_submodule("0")
    assert isinstance(ours, SparseLinear)
    assert torch.equal(ours.weight.to_dense(), theirs.weight)
    rows, columns = ours.indices
    assert torch.equal(ours.values.grad, theirs.weight.grad[rows, columns])
    assert torch.equal(inputs[0].grad, inputs[1].grad)


@pytest.mark.parametrize(
    ("pool", "image"),
    [
        (nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 8)),
        (nn.AvgPool1d(3, 2, 1, ceil_mode=True), (2, 8)),
        (nn.AvgPool2d((2, 3), (1, 2), (1, 0), ceil_mode=True), (2, 5, 8)),
        (nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (2, 6, 7)),
        (nn.AvgPool2d(3, 2, 1, divisor_override=5), (2, 6, 7)),
        (nn.AvgPool3d(2, 1, 1, count_include_pad=False), (2, 3, 4, 5)),
        (nn.AdaptiveAvgPool1d(3), (2, 8)),
        (nn.AdaptiveAvgPool2d((None, 3)), (2, 5, 7)),
        (nn.AdaptiveAvgPool3d(2), (1, 3, 4, 5)),
    ],
    ids=str,
)
@pytest.mark.parametrize("into", ["local", "fc"])
def test_every_kind_of_average(pool: nn.Module, image: tuple[int, ...], into: str) -> None:
    assert_only_embeds(nn.Sequential(pool).double(), into, image)


class _Functions(nn.Module):
    """Functions, methods and operators in the place of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.same = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.linear = nn.Linear(20, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.leaky_relu(self.conv(x), 0.2)
        x = torch.relu(nn.functional.avg_pool2d(x, 2, ceil_mode=True))
        y = self.same(x)
        y += x
        y = self.relu(y * 0.5 - 1)
        y = nn.functional.adaptive_avg_pool2d(self.relu(self.same(y)), (5, 1))
        return self.linear(y.view(y.size(0), -1)).sigmoid().reshape(-1, 3)


@pytest.mark.parametrize("into", ["local", "fc"])
def test_functions_methods_and_operators(into: str) -> None:
    net = _Functions().double()
    assert_only_embeds(net, into, (2, 9, 4))
    assert_only_embeds(net, lcfs.embed(net, "fc", (2, 9, 4), sparse=True), (2, 9, 4))


class _Twice(nn.Module):
    """One convolution on images of two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(nn.functional.avg_pool1d(self.conv(x), 2))


def test_a_layer_that_sees_two_sizes_becomes_two_matrices() -> None:
    net = _Twice().double()
    assert_only_embeds(net, "fc", (2, 8))
    shapes = {name: tuple(p.shape) for name, p in lcfs.embed(net, "fc", (2, 8)).named_parameters() if p.ndim == 2}
    assert shapes == {"conv.weight": (16, 16), "conv_.weight": (8, 8), "avg_pool1d.weight": (8, 16)}


def test_the_original_is_left_as_it_is_and_shares_nothing() -> None:
    net = lcfs.build("s-conv", base_channels=2, image=(1, 8, 8)).eval()
    before = copy.deepcopy(net.state_dict())
    for into in ("local", "fc"):
        for tensor in lcfs.embed(net, into, (1, 8, 8)).state_dict().values():
            tensor.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_embedding_draws_no_random_numbers() -> None:
    net = lcfs.build("s-conv", base_channels=2, image=(1, 8, 8), dropout=0.5).eval()
    dropping = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(0.5)).train()
    state = torch.get_rng_state()
    for into in ("local", "fc"):
        lcfs.embed(net, into, (1, 8, 8))
        assert lcfs.embed(dropping, into, (1, 8, 8)).get_submodule("1").training
    assert torch.equal(state, torch.get_rng_state())


def test_an_embedding_is_an_ordinary_module() -> None:
    """Copied, pickled and cast as others are."""
    net = lcfs.build("s-conv", base_channels=2, image=(1, 8, 8)).eval()
    x = torch.randn(2, 1, 8, 8)
    for embedded in (lcfs.embed(net, "local", (1, 8, 8)), lcfs.embed(net, "fc", (1, 8, 8), sparse=True)):
        expected = embedded(x)
        assert torch.equal(copy.deepcopy(embedded)(x), expected)
        assert torch.equal(pickle.loads(pickle.dumps(embedded))(x), expected)
        assert embedded.double()(x.double()).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_types(dtype: torch.dtype) -> None:
    """Weights are copied, not rounded: the embedding of the cast net is the cast embedding."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 2))
    embedded = lcfs.embed(net.to(dtype), "fc", (1, 4, 4))
    expected = lcfs.embed(net.float(), "fc", (1, 4, 4))
    assert embedded.get_parameter("0.weight").dtype == dtype
    assert torch.equal(embedded.get_parameter("0.weight").float(), expected.get_parameter("0.weight"))


def test_averages_do_not_learn() -> None:
    net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.AvgPool1d(2))
    assert [name for name, p in lcfs.embed(net, "fc", (1, 8)).named_parameters() if not p.requires_grad] == ["1.weight"]
    traced = trace(net, (1, 8))
    node = next(node for node in traced.graph.nodes if node.meta.get("kind") == "average")
    assert average_matrix(node, dict(traced.named_modules())).sum(1).tolist() == [1.0] * 6


def test_any_convolution_can_be_local() -> None:
    """LocallyConnected where it has the geometry, else the entries within reach."""
    square = nn.Conv2d(2, 3, 3, 2, 1)
    assert isinstance(lcfs.embed(square, "local", (2, 6, 7)).get_submodule("0"), LocallyConnected)
    for other in (nn.Conv2d(2, 4, 3, groups=2), nn.Conv2d(2, 3, 3, dilation=2), nn.Conv2d(2, 3, (3, 2))):
        local = lcfs.embed(other, "local", (2, 6, 7)).get_submodule("0")
        assert isinstance(local, SparseLinear)
        convolution = convolution_of("0", other, (2, 6, 7), tuple(other(torch.zeros(1, 2, 6, 7)).shape[1:]))
        assert convolution is not None
        assert len(local.values) == convolution.local_dimension
        assert math.prod(convolution.shape) == local.in_features * local.out_features


@pytest.mark.parametrize("into", ["local", "fc"])
@pytest.mark.parametrize("sparse", [False, True])
def test_what_is_frozen_stays_frozen(into: str, sparse: bool) -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3, dilation=2), nn.Conv2d(2, 2, 1)
    ).eval()
    net[0].requires_grad_(False)
    net[2].bias.requires_grad_(False)
    embedded = lcfs.embed(net, into, (1, 8, 8), sparse=sparse)
    ours = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    theirs = {name.replace("values", "weight"): p.requires_grad for name, p in embedded.named_parameters()}
    assert ours == theirs
    assert not all(ours.values())
