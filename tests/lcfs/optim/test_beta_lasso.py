"""Reference: BetaLasso against Algorithm 1 in six lines, bit for bit in float64. Round trip, negative controls."""

import copy
import math

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import lcfs
from lcfs.optim import BetaLasso, compiled, plain


def algorithm_1(theta: Tensor, gradient: Tensor, lr: float, l1: float, beta: float, one_sided: bool = False) -> Tensor:
    theta = theta - lr * (gradient + l1 * theta.sign())
    size = theta if one_sided else theta.abs()
    return theta * (size >= beta * l1)


def parameter(values: Tensor, gradient: Tensor) -> nn.Parameter:
    result = nn.Parameter(values.clone())
    result.grad = gradient.clone()
    return result


@given(
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.01, 0.1, 1.0]),
    st.sampled_from([0.0, 1e-3, 0.05]),
    st.sampled_from([0.0, 1.0, 20.0]),
    st.booleans(),
)
def test_bit_for_bit_in_float64(seed: int, lr: float, l1: float, beta: float, one_sided: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    theta, gradient = torch.randn(2, 17, 5, generator=generator, dtype=torch.float64)
    theta[0] = 0
    p = parameter(theta, gradient)
    BetaLasso([p], lr, l1=l1, beta=beta, one_sided=one_sided).step()
    if l1 == 0:
        expected = theta - lr * gradient
    else:
        expected = algorithm_1(theta, gradient, lr, l1, beta, one_sided)
    assert torch.equal(p.data, expected)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    theta, gradient = torch.randn(2, 100, 33)
    whole, parts = parameter(theta, gradient), parameter(theta, gradient)
    BetaLasso([whole], 0.1, l1=0.01, momentum=0.5).step()
    monkeypatch.setattr(plain, "CHUNK", 64)
    BetaLasso([parts], 0.1, l1=0.01, momentum=0.5).step()
    assert torch.equal(whole, parts)
    assert (whole == 0).any()


def test_biases_and_batchnorm_are_left_alone_by_default() -> None:
    theta, gradient = torch.full((4,), 1e-9), torch.zeros(4)
    plain, everything = parameter(theta, gradient), parameter(theta, gradient)
    BetaLasso([plain], 0.1, l1=0.1).step()
    BetaLasso([everything], 0.1, l1=0.1, all_parameters=True).step()
    assert torch.equal(plain, theta)
    assert not everything.any()


def test_the_threshold_is_not_scaled_by_the_learning_rate() -> None:
    p = parameter(torch.tensor([[0.49, 0.5, 0.51]]), torch.zeros(1, 3))
    BetaLasso([p], 0.0, l1=0.01, beta=50.0).step()
    assert p.tolist()[0] == [0.0, 0.5, pytest.approx(0.51)]


@given(st.integers(0, 2**31), st.floats(1e-3, 1.0), st.floats(1e-3, 0.5), st.floats(0.1, 50.0))
def test_a_soft_threshold_is_the_proximal_step(seed: int, lr: float, l1: float, beta: float) -> None:
    """Certificate: θ minimizes ½‖θ − (θ₀ − η∇f)‖² + ηβλ‖θ‖₁, so its subgradient holds 0, coordinate by coordinate."""
    generator = torch.Generator().manual_seed(seed)
    theta, gradient = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    p = parameter(theta, gradient)
    BetaLasso([p], lr, l1=l1, beta=beta, soft=True).step()
    pull = (theta - lr * gradient) - p.detach()
    force = lr * beta * l1
    torch.testing.assert_close(pull[p != 0], force * p.detach().sign()[p != 0], rtol=1e-12, atol=1e-12)
    assert (pull[p == 0].abs() <= force).all()


def test_the_minimum_under_a_soft_threshold_does_not_depend_on_the_learning_rate() -> None:
    """Lasso by ISTA: ½‖Ax − b‖² + λ‖x‖₁; a threshold that is not scaled by η (negative control) ends elsewhere."""
    a, b = torch.randn(20, 8, dtype=torch.float64), torch.randn(20, dtype=torch.float64)

    def solve(lr: float, beta: float) -> Tensor:
        x = nn.Parameter(torch.zeros(8, 1, dtype=torch.float64))
        optimizer = BetaLasso([x], lr, l1=2.0, beta=beta, soft=True)
        for _ in range(5000):
            x.grad = a.T @ (a @ x.detach() - b[:, None])
            optimizer.step()
        return x.detach()

    fast, slow = solve(0.01, 1.0), solve(0.002, 1.0)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-9)
    assert (fast == 0).any()
    assert (solve(0.01, 1.0) - solve(0.002, 5.0)).abs().max() > 1e-3


def test_without_l1_it_is_sgd() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)).double()
    twin = copy.deepcopy(model)
    ours = BetaLasso(model.parameters(), 0.1, l1=0.0, momentum=0.9)
    theirs = torch.optim.SGD(twin.parameters(), 0.1, momentum=0.9)
    for _ in range(5):
        x = torch.randn(8, 5, dtype=torch.float64)
        for net, optimizer in ((model, ours), (twin, theirs)):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)  # torch may fuse multiply and add


def test_nan_is_not_thresholded_away() -> None:
    p = parameter(torch.tensor([[math.nan, 1.0]]), torch.zeros(1, 2))
    BetaLasso([p], 0.1, l1=0.01).step()
    assert math.isnan(p.detach()[0, 0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_master_weights_survive_what_half_precision_loses(dtype: torch.dtype) -> None:
    """ηλ = 2e-6 is below the spacing of half-precision numbers near 1, so without masters nothing would ever shrink."""
    p = parameter(torch.ones(1, 4, dtype=dtype), torch.zeros(1, 4, dtype=dtype))
    optimizer = BetaLasso([p], 0.1, l1=2e-5, beta=0.0)
    lost = torch.ones((), dtype=dtype) - torch.tensor(2e-6, dtype=dtype)
    assert lost == 1, "negative control: the step vanishes in this dtype"
    for _ in range(1000):
        optimizer.step()
    # a thousand roundings of at most 2⁻²⁵ each
    torch.testing.assert_close(optimizer.state[p]["master"], torch.full((1, 4), 1 - 2e-3), rtol=0, atol=3e-5)
    restored = BetaLasso([p], 0.1, l1=2e-5, beta=0.0)
    restored.load_state_dict(optimizer.state_dict())
    assert restored.state[p]["master"].dtype == torch.float32
    assert torch.equal(restored.state[p]["master"], optimizer.state[p]["master"])


def test_state_dict_round_trip_continues_bit_for_bit() -> None:
    gradients = torch.randn(6, 7, 3)
    a = parameter(torch.randn(7, 3), gradients[0])
    first = BetaLasso([{"params": [a], "l1": 0.001}], 0.1, l1=0.5, momentum=0.9)
    for gradient in gradients[:3]:
        a.grad = gradient
        first.step()
    b = parameter(a.detach(), gradients[0])
    second = BetaLasso([b], 0.7, l1=0.9)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for gradient in gradients[3:]:
        a.grad = b.grad = gradient
        first.step()
        second.step()
    assert torch.equal(a, b)


@pytest.mark.parametrize("size", [12, compiled.WORTH_COMPILING])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nonzeros_are_those_after_the_last_step(size: int, dtype: torch.dtype) -> None:
    p = parameter(torch.randn(2, size // 2).to(dtype), torch.zeros(2, size // 2, dtype=dtype))
    never = nn.Parameter(torch.eye(3))
    optimizer = BetaLasso([p, never], 0.1, l1=0.01)
    for _ in range(2):
        optimizer.step()
        optimizer.param_groups[0]["l1"] *= 2
    counts = optimizer.nonzeros()
    assert counts[p] == p.count_nonzero() < p.numel()
    assert counts[never] == 3
    other = BetaLasso([nn.Parameter(torch.ones_like(p)), never], 0.1, l1=0.01)
    other.load_state_dict(optimizer.state_dict())
    assert other.nonzeros().keys() == set(other.param_groups[0]["params"])


def test_a_learning_rate_may_be_a_tensor() -> None:
    theta, gradient = torch.randn(2, 5, 7)
    a, b = parameter(theta, gradient), parameter(theta, gradient)
    rate = torch.tensor(0.0)
    held = BetaLasso([a], rate, l1=0.01)
    rate.fill_(0.1)  # as a captured graph sees it change
    held.step()
    BetaLasso([b], 0.1, l1=0.01).step()
    assert torch.equal(a, b)


def test_copies_and_old_checkpoints_keep_every_option() -> None:
    p = parameter(torch.full((4,), 1e-9), torch.zeros(4))
    original = BetaLasso([p], 0.1, l1=0.1, all_parameters=True)
    old = original.state_dict()
    del old["param_groups"][0]["all_parameters"]  # as written before these were options of a group
    del old["param_groups"][0]["soft"]
    restored = BetaLasso([p], 0.1, l1=0.1, all_parameters=True)
    restored.load_state_dict(old)
    for optimizer in (copy.deepcopy(original), restored):
        optimizer.param_groups[0]["params"][0].grad = torch.zeros(4)
        optimizer.step()
        assert not optimizer.param_groups[0]["params"][0].any()


def test_a_sharded_parameter_is_updated_where_it_lies() -> None:
    """One process holds the only shard; a DTensor has no memory of its own that a pointer could name."""
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

    theta, gradient = torch.randn(2, 2, compiled.WORTH_COMPILING)
    expected = parameter(theta, gradient)
    BetaLasso([expected], 0.1, l1=0.01, momentum=0.5).step()
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        p = nn.Parameter(distribute_tensor(theta.clone(), mesh, [Shard(0)]))
        p.grad = distribute_tensor(gradient.clone(), mesh, [Shard(0)])
        optimizer = BetaLasso([p], 0.1, l1=0.01, momentum=0.5)
        optimizer.step()
        assert torch.equal(p.to_local(), expected)
        assert optimizer.nonzeros()[p] == expected.count_nonzero()
    finally:
        dist.destroy_process_group()


def test_under_bf16_autocast_and_a_gradient_scaler() -> None:
    model = nn.Linear(8, 4)
    optimizer = BetaLasso(model.parameters(), 0.1, l1=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = model.weight.detach().clone()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(torch.randn(16, 8)).float().square().mean()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert not torch.equal(before, model.weight)
    assert (model.weight - before).abs().max() < 1, "the gradient was unscaled before the step"
    model.weight.grad.fill_(math.inf)
    held = model.weight.detach().clone()
    scaler.step(optimizer)
    assert torch.equal(held, model.weight), "an overflowing step is skipped"


def test_groups_give_convolution_like_layers_their_own_lambda() -> None:
    model = lcfs.build("d-fc", base_channels=1, image=(1, 8, 8))
    conv, rest = lcfs.parameter_groups(model, l1_conv=2e-5, l1_fc=5e-6)
    assert (conv["l1"], rest["l1"]) == (2e-5, 5e-6)
    assert {id(p) for p in conv["params"]} == {id(p) for n, p in model.named_parameters() if n.startswith("conv")}
    assert len(conv["params"]) + len(rest["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize("bad", [{"lr": -1.0}, {"l1": -1.0}, {"l1": math.nan}, {"beta": math.inf}, {"momentum": 1.0}])
def test_bad_values(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        BetaLasso([nn.Parameter(torch.zeros(1, 1))], **{"lr": 0.1, "l1": 0.0, **bad})
