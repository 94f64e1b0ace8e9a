"""Negative controls of the strategies: faults of converters that lived long are found within 200 draws; limits hold."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from lcfs.testing import Case, assert_embeds, conv_layers, conv_nets, convolutions
from lcfs.testing.drawn_layers import Twice

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)


def _wrong_outputs_of_a_group(m: nn.Module) -> nn.Module | None:
    """Transposed weights [in, out / groups] read as if a group had one output."""
    if not isinstance(m, TRANSPOSED) or m.weight.shape[1] == 1:
        return None
    m.weight.data = m.weight.data.roll(1, 1)
    return m


def _three_inputs_of_a_group(m: nn.Module) -> nn.Module | None:
    """Images are thought to have three channels at most."""
    if not isinstance(m, CONVS) or m.weight.shape[1] <= 3:
        return None
    m.weight.data[:, 3:] = 0
    return m


class _SameBefore(nn.Module):
    """padding="same" with the odd pixel at the beginning instead of the end."""

    def __init__(self, conv: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        totals = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
        pads = [side for total in reversed(totals) for side in (total - total // 2, total // 2)]
        function = (F.conv1d, F.conv2d, F.conv3d)[x.ndim - 3]
        mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
        return function(F.pad(x, pads, mode), conv.weight, conv.bias, 1, 0, conv.dilation, conv.groups)


def _same_before(m: nn.Module) -> nn.Module | None:
    fits = isinstance(m, CONVS) and m.padding == "same"
    return _SameBefore(m) if fits else None


def _set(kinds: tuple, name: str, value: object) -> Callable[[nn.Module], nn.Module | None]:
    def change(m: nn.Module) -> nn.Module | None:
        if not isinstance(m, kinds) or getattr(m, name, value) == value:
            return None
        setattr(m, name, value)
        return m

    return change


def _no_norm_of_units(m: nn.Module) -> nn.Module | None:
    return _UnitsPass(m) if isinstance(m, nn.BatchNorm1d) else None


class _UnitsPass(nn.Module):
    """BatchNorm1d that forgets units without an axis behind them."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return x if x.ndim == 2 else self.norm(x)


def _once(m: nn.Module) -> nn.Module | None:
    return nn.Sequential(m.inner, m.between) if isinstance(m, Twice) else None


FAULTS = {
    "outputs of a group, transposed": (conv_layers, _wrong_outputs_of_a_group),
    "more than three inputs of a group": (conv_layers, _three_inputs_of_a_group),
    "even kernel, padding same": (conv_layers, _same_before),
    "count_include_pad": (conv_nets, _set(POOLS, "count_include_pad", True)),
    "ceil_mode": (conv_nets, _set(POOLS, "ceil_mode", False)),
    "divisor_override": (conv_nets, _set(POOLS, "divisor_override", None)),
    "BatchNorm1d behind Linear": (conv_nets, _no_norm_of_units),
    "a module used twice": (conv_nets, _once),
}


def _broken(model: nn.Module, fault: Callable[[nn.Module], nn.Module | None]) -> nn.Module | None:
    """The net as a converter with this fault takes it; None if it has nothing that the fault is about."""
    twin, hit = copy.deepcopy(model), False
    for name, module in list(twin.named_modules()):
        if name and (other := fault(module)) is not None:
            parent, _, leaf = name.rpartition(".")
            setattr(twin.get_submodule(parent), leaf, other)
            hit = True
    return twin.eval() if hit else None


class _Found(Exception):
    pass


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", FAULTS)
def test_a_converter_with_a_fault_is_found_within_200_draws(name: str, exact: bool) -> None:
    strategy, fault = FAULTS[name]

    @settings(max_examples=200, database=None, phases=[Phase.generate])
    @given(strategy(exact=exact))
    def search(case: Case) -> None:
        if (twin := _broken(case.model, fault)) is None:
            return
        try:
            assert_embeds(case.model, twin, case.image, exact=exact)
        except AssertionError as error:
            raise _Found from error
        except RuntimeError as error:  # a smaller image than the next layer takes
            raise _Found from error

    with pytest.raises(_Found):
        search()


def test_strategies_reach_every_kind_of_layer() -> None:
    seen: set[str] = set()

    @settings(max_examples=250, database=None)
    @given(conv_nets())
    def collect(case: Case) -> None:
        seen.update(type(module).__name__ for module in case.model.modules())

    collect()
    kinds = {"Conv", "ConvTranspose", "BatchNorm", "AvgPool"}
    assert {f"{kind}{axes}d" for kind in kinds for axes in (1, 2, 3)} <= seen
    assert {"LocallyConnected", "Linear", "Residual", "Twice", "GELU"} <= seen


LIMITED = {
    "dims": [2],
    "kinds": ["conv"],
    "padding_modes": ["zeros", "circular"],
    "groups": [2],
    "strides": [2],
    "dilations": [1],
}


@settings(max_examples=30)
@given(conv_layers(**LIMITED), st.data())
def test_limits_hold_for_layers(case: Case, data: st.DataObject) -> None:
    (layer,) = case.model
    assert type(layer) is nn.Conv2d
    assert layer.padding_mode in ("zeros", "circular")
    assert (layer.groups, layer.stride, layer.dilation) == (2, (2, 2), (1, 1))
    assert isinstance(data.draw(conv_layers(kinds=["local"])).model[0], LocallyConnected)
    geometry = data.draw(convolutions(dims=[1], groups=[3], strides=[2]))
    assert (len(geometry.axes), geometry.groups, geometry.axes[0].stride) == (1, 3, 2)


@settings(max_examples=30)
@given(conv_nets(dims=[2], kinds=["conv"], padding_modes=["zeros"], groups=[1], dtype=torch.float32))
def test_limits_hold_for_nets(case: Case) -> None:
    for module in case.model.modules():
        assert not isinstance(module, (LocallyConnected, *TRANSPOSED, nn.Conv1d, nn.Conv3d))
        if isinstance(module, nn.Conv2d):
            assert (module.groups, module.padding_mode, module.weight.dtype) == (1, "zeros", torch.float32)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"dims": []}, "dims must hold one or more of 1, 2, 3, got"),
        ({"kinds": ["linear"]}, "kinds must hold one or more of conv, same, transposed, local, got"),
        ({"padding_modes": ["same"]}, "padding_modes must hold"),
        ({"groups": [0]}, "groups must hold one or more of integers from 1 on"),
        ({"dims": [3], "kinds": ["local"]}, "one axis or two; put 1 or 2 into dims"),
    ],
)
def test_limits_that_no_layer_has_are_refused(limits: dict, message: str) -> None:
    @settings(max_examples=1, database=None, phases=[Phase.generate])
    @given(conv_layers(**limits))
    def draw(case: Case) -> None:
        pass

    with pytest.raises(InputError, match=message):
        draw()
