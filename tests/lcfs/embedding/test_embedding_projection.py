"""Algebra: `project` inverts `embed`, loses by Pythagoras, and finds the nearest net. Negative controls."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import lcfs
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from lcfs.testing import Case, assert_only_embeds, conv_layers, conv_nets
from lcfs.testing.filling import fill

SEEDS = st.integers(0, 2**32 - 1)
EXACT = 1e-12  # relative, float64: means of at most 10³ numbers
SOLVED = 1e-9  # relative: where taps collide, a pseudo-inverse of condition below 10⁶


def _energy(model: nn.Module) -> float:
    return sum(float(t.double().square().sum()) for t in model.state_dict().values() if t.is_floating_point())


@settings(max_examples=25)
@given(conv_nets(exact=True), st.sampled_from(["local", "fc"]), st.booleans())
def test_projection_undoes_the_embedding(case: Case, into: str, sparse: bool) -> None:
    """The same function, and the same numbers but for taps that never meet a pixel or always collide."""
    embedded = lcfs.embed(case.model, into, case.image, sparse=sparse)
    back = lcfs.project(embedded, case.model, case.image)
    assert back.off_local == 0
    state, found = case.model.state_dict(), back.model.state_dict()
    assert state.keys() == found.keys()
    for name, tensor in state.items():
        if tensor.ndim < 2:
            assert torch.equal(found[name], tensor)
    assert_only_embeds(case.model, back.model, case.image)


@pytest.mark.parametrize("name", lcfs.ARCHITECTURES)
@pytest.mark.parametrize("into", ["local", "fc"])
def test_paper_nets_come_back_bit_by_bit(name: str, into: str) -> None:
    """float32, with counters; an image on which each tap of each layer meets a pixel somewhere."""
    image = (1, 32, 32)
    net = fill(lcfs.build(name, base_channels=1, image=image), 0, exact=False)
    if "local" in name:
        net = lcfs.embed(net, "local", image)
    back = lcfs.project(lcfs.embed(net, into, image), net, image)
    assert back.off_local == 0
    if "local" not in name:
        assert back.local_unshared == 0
        assert all(torch.equal(back.model.state_dict()[key], t) for key, t in net.state_dict().items())


def _scrambled(case: Case, seed: int, into: str = "fc") -> nn.Module:
    """Any net of LOCAL or FC: an embedding with Gaussian numbers in its place."""
    embedded = lcfs.embed(case.model, into, case.image)
    random = torch.Generator().manual_seed(seed)
    for parameter in embedded.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape, generator=random, dtype=torch.float64)
    return embedded.double()


@given(conv_nets(exact=True), SEEDS)
def test_energies_add_up_array_by_array(case: Case, seed: int) -> None:
    model = _scrambled(case, seed)
    found = lcfs.project(model, case.model, case.image)
    state = model.state_dict()
    assert len({array.name for array in found.arrays}) == len(found.arrays)
    for array in found.arrays:
        layer, _, name = array.name.rpartition(".")
        sizes = [
            t
            for key, t in state.items()
            if key.rstrip("_").rpartition(".")[::2] in ((layer, name), (layer + "_", name))
        ]
        energy = sum(float(tensor.square().sum()) for tensor in sizes)
        assert math.isclose(array.energy, energy, rel_tol=SOLVED, abs_tol=1e-300)
        assert min(array.shared, array.local_unshared, array.off_local) >= 0
    total = sum(array.energy for array in found.arrays)
    assert math.isclose(found.shared + found.local_unshared + found.off_local, total, rel_tol=EXACT, abs_tol=1e-300)


@given(conv_layers(exact=True), SEEDS)
def test_what_is_shared_is_the_energy_of_the_projection_embedded(case: Case, seed: int) -> None:
    """‖W‖² = ‖P W‖² + ‖W − P W‖², the projection embedded again being P W; projecting twice changes nothing."""
    model = _scrambled(case, seed)
    found = lcfs.project(model, case.model, case.image)
    nearest = lcfs.embed(found.model, "fc", case.image)
    kept, before = _energy(nearest), _energy(model)
    lost = sum(
        float((model.state_dict()[name] - tensor).square().sum()) for name, tensor in nearest.state_dict().items()
    )
    assert math.isclose(kept + lost, before, rel_tol=SOLVED, abs_tol=1e-300)
    local = "LocallyConnected" in str(case.model)  # then what is unshared is kept
    assert math.isclose(found.off_local + (0 if local else found.local_unshared), lost, rel_tol=1e-6, abs_tol=SOLVED)
    again = lcfs.project(nearest, case.model, case.image)
    assert again.off_local == 0
    for name, tensor in found.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], tensor, rtol=0, atol=SOLVED)


@given(conv_layers(exact=True), SEEDS)
def test_no_other_convolution_is_nearer(case: Case, seed: int) -> None:
    model = _scrambled(case, seed)
    nearest = lcfs.project(model, case.model, case.image).model

    def distance(net: nn.Module) -> float:
        state = lcfs.embed(net, "fc", case.image).state_dict()
        return sum(float((tensor - state[name]).detach().square().sum()) for name, tensor in model.state_dict().items())

    other = copy.deepcopy(nearest)
    for index, parameter in enumerate(other.parameters()):
        step = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed + index), dtype=torch.float64)
        parameter.data += step
    assert distance(nearest) <= distance(other) * (1 + EXACT)


def test_an_fc_net_projects_on_the_convolutional_one() -> None:
    """A random S-FC: as much of its first layer is local and shared as dimensions say, within 6 standard errors."""
    image = (1, 8, 8)
    model = lcfs.build("s-fc", base_channels=4, image=image)
    like = lcfs.build("s-conv", base_channels=4, image=image)  # in training mode: its numbers do not matter
    found = lcfs.project(model, like, image)
    conv1 = next(array for array in found.arrays if array.name == "conv1.weight")
    rows, columns, local, conv = 4 * 16, 64, 4 * 676, 4 * 81
    for share, part in ((conv1.shared, conv), (conv1.local_unshared, local - conv)):
        expected = part / (rows * columns)
        error = math.sqrt(expected * (1 - expected) / (rows * columns / 2))
        assert abs(share / conv1.energy - expected) < 6 * error
    assert not found.model.training
    assert [name for name, _ in found.model.named_modules()] == [name for name, _ in like.named_modules()]


def test_a_local_net_projects_on_local() -> None:
    """Where `like` is LOCAL itself, only what is off-local is lost."""
    image = (1, 8, 8)
    model, like = (lcfs.build(name, base_channels=2, image=image) for name in ("s-fc", "s-local"))
    found = lcfs.project(model.eval(), like, image)
    again = lcfs.project(lcfs.embed(found.model, "fc", image), like, image)
    assert found.off_local > 0 == again.off_local
    assert math.isclose(
        again.shared + again.local_unshared, found.shared + found.local_unshared, rel_tol=1e-6
    )  # float32


def _pair() -> tuple[nn.Module, nn.Module]:
    like = nn.Sequential(
        nn.Conv1d(1, 2, 3, padding=1), nn.BatchNorm1d(2), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(8, 2)
    )
    return lcfs.embed(like.eval(), "fc", (1, 8)), like


def _set(model: nn.Module, name: str, module: nn.Module | None) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, module) if module else delattr(model.get_submodule(parent), leaf)


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        ("0", nn.Linear(8, 15), r"0 of model is \(15, 8\), expected \(16, 8\)"),
        ("0", nn.Linear(8, 16, bias=False), "0 has bias in `like` and no bias in model"),
        ("0", nn.Conv2d(1, 2, 3), "0 of model is a Conv2d, which is no Conv1d embedded"),
        ("0", None, "model has no layer 0"),
        ("1", nn.BatchNorm1d(15), "1.weight of model has 15 numbers, expected 16"),
        ("2", nn.Linear(16, 8, bias=False), "2 of model is no average any more"),
        ("9", nn.Linear(1, 1), "`like` has no layers 9"),
    ],
)
def test_nets_that_do_not_match_are_refused(name: str, module: nn.Module | None, message: str) -> None:
    model, like = _pair()
    _set(model, name, module)
    with pytest.raises(InputError, match=message):
        lcfs.project(model, like, (1, 8))


def test_a_sparse_layer_is_no_convolution() -> None:
    like = nn.Sequential(nn.Conv1d(1, 2, 3, dilation=2))
    model = lcfs.embed(like, "fc", (1, 8))
    with pytest.raises(InputError, match="0 of `like` is a SparseLinear"):
        lcfs.project(model, lcfs.embed(like, "local", (1, 8)), (1, 8))


class _Two(nn.Module):
    """A convolution used on images of two sizes, or two of one size that share their weights."""

    def __init__(self, sizes: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1)
        self.other = self.conv if sizes == 2 else nn.Conv1d(1, 1, 3, padding=1)
        self.other.weight, self.other.bias = self.conv.weight, self.conv.bias
        self.pool = nn.AvgPool1d(2) if sizes == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.pool(self.conv(x)))


@pytest.mark.parametrize("sizes", [1, 2])
def test_weights_that_are_tied_become_the_mean(sizes: int) -> None:
    """The filter nearest to both matrices: no other is nearer, energies add up in sum, and ties come back."""
    like = _Two(sizes).double()
    model = lcfs.embed(like, "fc", (1, 8))
    assert sum(p.numel() == 64 for p in model.parameters()) == (1 if sizes == 2 else 2)
    assert lcfs.project(model, like, (1, 8)).local_unshared == 0
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn_like(parameter)
    found = lcfs.project(model, like, (1, 8))
    before = sum(float(p.detach().square().sum()) for p in model.parameters() if p.requires_grad)
    assert math.isclose(sum(array.energy for array in found.arrays), before, rel_tol=EXACT)
    assert [array.name for array in found.arrays] == ["conv.weight", "conv.bias"]
    assert found.model.other.weight is found.model.conv.weight

    def distance(net: nn.Module) -> float:
        state = lcfs.embed(net, "fc", (1, 8)).state_dict()
        return sum(float((tensor - state[name]).detach().square().sum()) for name, tensor in model.state_dict().items())

    least = distance(found.model)
    assert math.isclose(least, found.local_unshared + found.off_local, rel_tol=EXACT)
    for _ in range(20):
        other = copy.deepcopy(found.model)
        for parameter in other.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        assert distance(other) > least


def test_locally_connected_layers_that_share_a_weight_are_refused() -> None:
    like = nn.Sequential(*(LocallyConnected(1, 1, (4, 4), 3, padding=1) for _ in range(2)))
    like[1].weight = like[0].weight
    with pytest.raises(InputError, match=r"0.weight of `like` is shared by several layers"):
        lcfs.project(lcfs.embed(like, "fc", (1, 4, 4)), like, (1, 4, 4))
