"""Algebra, in float64: removing dead units changes neither function, gradients nor any later step of training, and no
unit that was removed would have returned. Negative controls: units that look dead and come back. Round trip: runs."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import lcfs
from lcfs.compaction import Compacted, compact, dead_units
from lcfs.compaction.chain import Stage, chain, cuts
from lcfs.compaction.motion import Motion
from lcfs.compaction.optimizers import write
from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from lcfs.runs import Run
from lcfs.runs.checkpoints import load_checkpoint
from lcfs.training import loop
from lcfs.training.epoch import cosine

IMAGE, CLASSES = (1, 8, 8), 4
NETS = ("s-fc", "s-local", "s-conv", "d-fc", "d-local", "d-conv", "3-fc")
SIZES = {"3-fc": 12}

# Two orders of summing some hundred float64 terms, through up to ten BatchNorms that may each divide by √ε = 0.003.
CLOSE = {"rtol": 1e-7, "atol": 1e-9}
OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "β-LASSO": lambda net: _beta_lasso(net),
    "β-LASSO with momentum": lambda net: _beta_lasso(net, momentum=0.8),
    "β-LASSO, all parameters": lambda net: _beta_lasso(net, all_parameters=True),
    "β-LASSO, one-sided": lambda net: _beta_lasso(net, one_sided=True),
    "SGD": lambda net: torch.optim.SGD(net.parameters(), 0.1),
    "SGD with momentum and decay": lambda net: torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-3),
}


def _beta_lasso(net: nn.Module, **options: Any) -> lcfs.BetaLasso:
    return lcfs.BetaLasso(lcfs.parameter_groups(net, l1_conv=1e-3, l1_fc=5e-4), 0.1, l1=0.0, beta=4.0, **options)


def net_of(name: str, seed: int = 0, dropout: float = 0.0) -> nn.Module:
    """A net in float64 whose BatchNorms are far from their start, in training mode."""
    torch.manual_seed(seed)
    net = lcfs.build(name, base_channels=SIZES.get(name, 2), image=IMAGE, classes=CLASSES, dropout=dropout).double()
    for stage in chain(net)[:-1]:
        assert stage.norm is not None
        for tensor, low, high in (
            (stage.norm.weight.data, -2, 2),
            (stage.norm.bias.data, -0.5, 1),
            (stage.norm.running_mean, -1, 1),
            (stage.norm.running_var, 0.1, 2),
        ):
            assert tensor is not None
            tensor.uniform_(low, high)
    return net


def units(stage: Stage) -> int:
    assert stage.norm is not None
    return stage.norm.num_features


@torch.no_grad()
def kill(stage: Stage, unit: int, shift: float, *, after: Stage | None = None) -> None:
    """Incoming weights of a unit (of CONV: a channel) 0, its shift as given; with `after` outgoing weights 0 too."""
    assert stage.norm is not None
    if isinstance(stage.layer, LocallyConnected):
        channel, position = divmod(unit, stage.positions)
        stage.layer.weight.data.flatten(0, 1)[position, channel] = 0
    else:
        channel = unit
        stage.layer.weight[unit] = 0
    stage.norm.bias[unit] = shift
    stage.norm.running_mean[unit] = 0.0
    if after is not None:
        if isinstance(after.layer, nn.Linear):
            each = after.layer.in_features // units(stage)
            after.layer.weight[:, unit * each : (unit + 1) * each] = 0
        else:
            after.layer.weight.movedim(after.dims[1], 0)[channel] = 0


def kill_some(net: nn.Module, seed: int, *, unread: bool = True) -> None:
    """About a third of the units (of LOCAL the channels) of each hidden layer, silent or unread; the first stays."""
    generator = torch.Generator().manual_seed(seed)
    stages = chain(net)
    for stage, after in pairwise(stages):
        each = units(stage) // stage.channels
        assert stage.norm is not None
        stage.norm.bias.data[:each] = 1.0  # a signal gets through, or gradients are roundings divided by √ε per layer
        for channel in range(1, stage.channels):
            kind = int(torch.randint(6, (), generator=generator))
            for unit in range(channel * each, (channel + 1) * each):
                if kind == 0:
                    kill(stage, unit, -0.3)
                elif kind == 1 and unread:
                    kill(stage, unit, 0.7, after=after)


def batch(seed: int, size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, *IMAGE, dtype=torch.float64, generator=generator)
    return x, torch.randint(CLASSES, (size,), generator=generator)


def backward(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    net.zero_grad(set_to_none=True)
    logits = net(x)
    F.cross_entropy(logits, y).backward()
    return logits.detach()


def removed_units(small: Compacted) -> int:
    return sum(s.channels - len(small.kept[s.name]) for s in chain(small.full) if s.name in small.kept)


def state_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of an optimizer's state; what was never touched is 0."""
    found = {}
    for i, parameter in enumerate(p for group in optimizer.param_groups for p in group["params"]):
        for key in ("velocity", "momentum_buffer", "master"):
            value = optimizer.state.get(parameter, {}).get(key)
            found[f"{i}.{key}"] = torch.zeros_like(parameter) if value is None else value
    return found


@pytest.mark.parametrize("name", NETS)
@settings(max_examples=12)
@given(seed=st.integers(0, 99))
def test_function_and_gradients_stay(name: str, seed: int) -> None:
    net = net_of(name, seed)
    kill_some(net, seed)
    small = compact(net)
    x, y = batch(seed)
    torch.testing.assert_close(small.model.eval()(x), net.eval()(x), **CLOSE)
    torch.testing.assert_close(backward(small.model.train(), x, y), backward(net.train(), x, y), **CLOSE)
    cut, smaller = cuts(chain(net), small.kept), dict(small.model.named_parameters())
    for key, parameter in net.named_parameters():
        # The small net's gradient, put back where it came from, is all of the full one's: the rest is 0.
        assert parameter.grad is not None
        gradient = smaller[key].grad
        assert gradient is not None
        spread = torch.zeros_like(parameter)
        write(spread, cut.get(key), gradient)
        torch.testing.assert_close(spread, parameter.grad, **CLOSE)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("how", OPTIMIZERS)
def test_training_stays(name: str, how: str) -> None:
    """Twelve steps; the compacted net is expanded and compacted anew after seven."""
    rates = [cosine(0.1, step, 12) for step in range(12)]
    whole, net = net_of(name, seed=3), net_of(name, seed=3)
    for each in (whole, net):
        # Under SGD unread units are kept, and amplify roundings until the two nets differ by more than those.
        kill_some(each, seed=3, unread="SGD" not in how)
    slow, fast = OPTIMIZERS[how](whole), OPTIMIZERS[how](net)
    dead = dead_units(net, fast)
    for part in (range(7), range(7, 12)):
        small = compact(net, fast)
        assert small.optimizer is not None
        assert removed_units(small) > 0
        for step in part:
            for model, optimizer in ((whole, slow), (small.model, small.optimizer)):
                for group in optimizer.param_groups:
                    group["lr"] = rates[step]
                backward(model, *batch(step))
                optimizer.step()
            for layer, now in dead_units(whole, slow).items():
                assert not (dead[layer] & ~now).any(), "a unit came back that would have been removed"
        small.expand(rates[step] for step in part)
    expected, found = (net.state_dict() | state_of(optimizer) for net, optimizer in ((whole, slow), (net, fast)))
    for key in expected:
        # Twelve steps at a large learning rate amplify the roundings of the first.
        torch.testing.assert_close(found[key], expected[key], rtol=1e-6, atol=1e-8, msg=lambda m, k=key: f"{k}: {m}")
    assert fast.param_groups[0]["lr"] == slow.param_groups[0]["lr"]


def test_units_that_come_back_are_not_dead() -> None:
    """Negative control: in = 0, out ≠ 0, shift > 0 returns at the next step, with a gradient of 1/√ε."""
    net = net_of("s-fc")
    (first, second, _), optimizer = chain(net), _beta_lasso(net)
    kill(first, 3, 0.7)
    assert not dead_units(net, optimizer)["conv1"].any()
    backward(net, *batch(0))
    gradient = first.layer.weight.grad
    assert gradient is not None
    others = torch.cat([gradient[:3], gradient[4:]]).norm(dim=1)
    assert gradient[3].norm() > 20 * others.median()
    optimizer.step()
    assert first.layer.weight[3].any()
    kill(first, 3, -0.7)
    assert dead_units(net, optimizer)["conv1"].nonzero().tolist() == [[3]]
    assert second.norm is not None


def test_before_the_last_layer_an_unread_unit_comes_back() -> None:
    net = net_of("s-fc")
    (_, second, last), optimizer = chain(net), _beta_lasso(net)
    kill(second, 5, 0.7, after=last)
    assert not dead_units(net, optimizer)["fc1"].any()
    backward(net, *batch(0))
    assert last.layer.weight.grad is not None
    assert last.layer.weight.grad[:, 5].abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "dropout", "dead"), [("s-fc", 0.0, True), ("s-fc", 0.5, False), ("d-conv", 0.0, False)]
)
def test_what_the_next_layer_must_see_as_constant(name: str, dropout: float, dead: bool) -> None:
    """Dropout and zero padding make an unread unit's constant vary, and then its outgoing weights have a gradient."""
    net = net_of(name, dropout=dropout)
    first, second, *_ = chain(net)
    kill(first, 1, 0.7, after=second)
    assert dead_units(net)["conv1"][1].item() is dead
    backward(net, *batch(0, size=64))
    gradient = second.layer.weight.grad
    assert gradient is not None
    assert (gradient[:, 1].abs().max() > 1e-4).item() is not dead


def test_an_old_running_mean_postpones_the_removal() -> None:
    """A silent unit whose running mean still makes it speak in evaluation is kept until that has faded."""
    net = net_of("s-fc")
    first = chain(net)[0]
    kill(first, 3, -0.1)
    assert first.norm is not None
    assert first.norm.running_mean is not None
    first.norm.running_mean[3] = -first.norm.weight.detach()[3].sign()
    assert not dead_units(net)["conv1"].any()
    for _ in range(150):  # 0.9¹⁵⁰ = 10⁻⁷
        net(batch(0)[0])
    assert dead_units(net)["conv1"][3]


def test_units_that_only_dead_units_feed_are_dead() -> None:
    net = net_of("3-fc")
    first, second, _ = chain(net)
    for unit in range(1, 12):
        kill(first, unit, -0.2)
    with torch.no_grad():
        second.layer.weight[4, 0] = 0
        second.norm.bias[4] = -1.0  # type: ignore[union-attr]
        second.norm.running_mean[4] = 0.0  # type: ignore[union-attr,index]
    small = compact(net)
    assert len(small.kept["fc1"]) == 1
    assert 4 not in small.kept["fc2"]
    assert small.units() == {"fc1": 1, "fc2": 12 - dead_units(net)["fc2"].sum().item()}


def test_local_units_are_found_and_whole_channels_removed() -> None:
    net = net_of("s-local")
    first, after, _ = chain(net)
    kill(first, 5, -1.0)
    assert dead_units(net)["conv1"].nonzero().tolist() == [[5]]
    assert compact(net).model is net
    for unit in range(first.positions):
        kill(first, unit, -1.0)
    assert compact(net).units()["conv1"] == 1
    assert isinstance(after.layer, nn.Linear)


def test_compacting_twice_finds_nothing_more() -> None:
    net = net_of("d-fc")
    kill_some(net, 0)
    small = compact(net)
    assert removed_units(small)
    assert compact(small.model).model is small.model
    assert small.model is not net


@given(
    theta=st.floats(-1, 0),
    velocity=st.floats(-3, 3),
    lr=st.floats(1e-4, 1),
    momentum=st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99]),
    decay=st.sampled_from([0.0, 1e-4, 1e-2, 0.3, 2.0]),
)
def test_what_stays_nonpositive_does(theta: float, velocity: float, lr: float, momentum: float, decay: float) -> None:
    t, v = torch.tensor([theta], dtype=torch.float64), torch.tensor([velocity], dtype=torch.float64)
    promised = Motion(t, v, lr, momentum, decay).stays_nonpositive().item()
    largest = theta
    for step in range(300):
        velocity = momentum * velocity + decay * theta
        theta -= cosine(lr, step, 300) * velocity
        largest = max(largest, theta)
    assert largest <= 1e-12 or not promised  # the cone's edge is reached up to rounding
    # Negative control: the promise is not empty. Without momentum or with a velocity away from 0 nothing can go wrong.
    assert promised or (momentum > 0 and (decay > 0 or velocity < 0)) or lr * decay > 1


def test_a_velocity_that_could_bring_a_unit_back_keeps_it() -> None:
    net = net_of("s-fc")
    first, optimizer = chain(net)[0], _beta_lasso(net, momentum=0.8)
    kill(first, 3, -1.0)
    weight = first.layer.weight
    optimizer.state[weight]["velocity"] = torch.zeros_like(weight)
    optimizer.state[weight]["velocity"][3, 0] = 0.04  # 0.1 · 0.8 · 0.04 = 0.0032 < βλ = 0.004
    assert dead_units(net, optimizer)["conv1"][3]
    optimizer.state[weight]["velocity"][3, 0] = 0.06
    assert not dead_units(net, optimizer)["conv1"][3]


def test_master_copies_are_cut_and_restored() -> None:
    """bfloat16 weights with float32 masters: nothing is trained, so everything must come back bit for bit."""
    net = net_of("s-fc").to(torch.bfloat16)
    kill_some(net, 1, unread=False)
    optimizer = _beta_lasso(net, momentum=0.5)
    optimizer.zero_grad()
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    before = {k: v.clone() for k, v in (net.state_dict() | state_of(optimizer)).items()}
    small = compact(net, optimizer)
    assert small.optimizer is not None
    assert removed_units(small)
    masters = [state["master"] for state in small.optimizer.state.values()]
    assert {m.dtype for m in masters} == {torch.float32}
    assert [m.shape for m in masters] == [p.shape for p in small.model.parameters()]
    small.expand()
    after = net.state_dict() | state_of(optimizer)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_nets_and_optimizers_that_are_not_known_are_refused() -> None:
    with pytest.raises(InputError, match="ResNet18"):
        compact(lcfs.build("resnet18", base_channels=2))
    net = net_of("s-fc")
    with pytest.raises(InputError, match="not under Adam"):
        compact(net, torch.optim.Adam(net.parameters()))
    with pytest.raises(InputError, match="nesterov"):
        compact(net, torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, nesterov=True))
    with pytest.raises(InputError, match="hard threshold"):
        compact(net, lcfs.BetaLasso(net.parameters(), 0.1, l1=0.1, soft=True))
    with pytest.raises(InputError, match="compact"):
        TrainConfig("resnet18", compact=True)
    with pytest.raises(InputError, match="compact"):
        TrainConfig("s-fc", compact=True, optimizer=OptimizerConfig("beta-lasso", threshold="soft"))


# A large λ, so that units of such a small net die within a few epochs.
CONFIG = TrainConfig(
    "s-fc",
    base_channels=2,
    epochs=8,
    batch_size=128,
    dropout=0.1,
    checkpoint_seconds=0,
    optimizer=OptimizerConfig("beta-lasso", l1_conv=2e-2, l1_fc=1e-3, beta=5.0, momentum=0.3),
    augment=AugmentConfig(crop=1, flip=False),
)


def saved(path: Path, epoch: int) -> dict[str, Any]:
    return load_checkpoint(path / "checkpoints" / f"epoch-{epoch:06d}.pt")


def test_a_run_with_and_without(tmp_path: Path) -> None:
    """The same seed: the same net, the same non-zeros of the full net, and a smaller one in the computation."""
    plain = loop.train(CONFIG, tmp_path / "plain")
    small = loop.train(replace(CONFIG, compact=True), tmp_path / "small")
    records, others = (Run.open(tmp_path / name).metrics() for name in ("small", "plain"))
    assert records[-1]["units/conv1"] < 0.8 * records[0]["units/conv1"], "units must die for this to test anything"
    assert small.nonzeros == plain.nonzeros
    assert small.weights == plain.weights
    assert [r["sparsity/conv1"] for r in records] == [r["sparsity/conv1"] for r in others]
    for key in ("model", "optimizer"):
        found, expected = (saved(tmp_path / name, 8)[key] for name in ("small", "plain"))
        # float32; 88 steps on sums in another order
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert small.train_error == pytest.approx(plain.train_error, abs=2 / 1437)


def test_stopped_and_resumed_equals_never_stopped(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(progress: loop.Progress) -> None:
        if progress.epoch == 5:
            raise Stop

    config = replace(CONFIG, compact=True)
    whole = loop.train(config, tmp_path / "whole")
    with pytest.raises(Stop):
        loop.train(config, tmp_path / "stopped", on_epoch=stop)
    assert loop.train(config, tmp_path / "stopped", resume=True) == whole
    found, expected = (saved(tmp_path / name, 8) for name in ("stopped", "whole"))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_without_a_threshold_an_unread_unit_is_not_dead() -> None:
    """Its balance is unstable: roundings of Σ δ grow by more than γ/√ε a step, so that SGD brings it back."""
    net = net_of("s-fc")
    first, second, _ = chain(net)
    kill(first, 3, 0.7, after=second)
    optimizer = OPTIMIZERS["SGD"](net)
    assert dead_units(net, _beta_lasso(net))["conv1"][3]
    assert not dead_units(net, optimizer)["conv1"][3]
    for step in range(20):
        backward(net, *batch(step))
        optimizer.step()
    assert second.layer.weight[:, 3].abs().max() > 1e-3
