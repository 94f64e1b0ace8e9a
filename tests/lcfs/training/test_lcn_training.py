"""The laws of descent measured on linear nets that the project's own optimizers train: SGD and `BetaLasso`."""

import numpy as np
import pytest
import torch
from torch import nn

from lcfs.config import OptimizerConfig, TrainConfig
from lcfs.training.optimizers import make_optimizer
from theory.lcn import measure


def stack(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(1, 3, 3, bias=False), nn.Conv1d(3, 3, 2, stride=2, bias=False), nn.Conv1d(3, 1, 2, bias=False)
    ).double()


def sgd(**settings: float) -> OptimizerConfig:
    return OptimizerConfig("sgd", lr=0.05, **settings)


def beta_lasso(l1: float, beta: float) -> OptimizerConfig:
    return OptimizerConfig("beta-lasso", lr=0.05, l1_conv=l1, l1_fc=l1, beta=beta)


def trained(model: nn.Sequential, config: OptimizerConfig, steps: int, own: float = 0.0) -> list:
    """The weights along `steps` full-batch steps; `own` adds a term that sees the first layer only."""
    optimizer = make_optimizer(model, TrainConfig("s-conv", optimizer=config))
    x, y = torch.randn(8, 1, 16, dtype=torch.float64), torch.randn(8, 1, 6, dtype=torch.float64)
    states = [[p.detach().numpy().copy() for p in model.parameters()]]
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean() + own * model[0].weight.square().sum()
        loss.backward()
        optimizer.step()
        states.append([p.detach().numpy().copy() for p in model.parameters()])
    return states


ROUNDING = 1e-14  # weights of order one in float64


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd_obeys_the_exact_law(decay: float) -> None:
    model = stack()
    states = trained(model, sgd(weight_decay=decay), 50)
    found = measure(states, 0.05, weight_decay=decay)
    assert np.abs(found.violation).max() < ROUNDING
    assert np.abs(np.diff(found.invariants, axis=0)).max() > 1e3 * ROUNDING  # the drift itself is seen
    if decay:
        assert np.abs(measure(states, 0.05).violation).max() > 1e3 * ROUNDING


def test_beta_lasso_without_threshold_obeys_the_l1_law_through_sign_changes() -> None:
    model = stack()
    states = trained(model, beta_lasso(l1=0.02, beta=0.0), 100)
    found = measure(states, 0.05, l1=0.02)
    assert np.abs(found.violation).max() < ROUNDING
    signs = np.array([np.concatenate([np.sign(w).ravel() for w in state]) for state in states])
    assert (signs[1:] != signs[:-1]).any()
    assert np.abs(measure(states, 0.05).violation).max() > 1e-4  # negative control: the law without its L1 term
    decayed = found.invariants[-1] - found.invariants[0]
    rate = -2 * 0.02 * 0.05 * found.l1_differences[:-1].sum(axis=0)
    np.testing.assert_allclose(decayed, rate, rtol=0.2)  # the flow's rate, but for terms of order η²


def test_the_threshold_breaks_the_law_only_when_it_acts() -> None:
    model = stack()
    states = trained(model, beta_lasso(l1=0.002, beta=2.0), 60)
    violation = np.abs(measure(states, 0.05, l1=0.002).violation).max(axis=1)
    first = next(t for t, state in enumerate(states) if any((w == 0).any() for w in state))
    assert first > 1
    assert violation[: first - 1].max() < ROUNDING
    assert violation[first - 1] > 1e3 * ROUNDING


def test_a_term_of_one_layer_breaks_the_law() -> None:
    model = stack()
    states = trained(model, sgd(), 5, own=0.1)
    violation = np.abs(measure(states, 0.05).violation)
    assert violation[:, 0].min() > 1e-4
    assert violation[:, 1].max() < ROUNDING


def test_sgd_without_penalty_hardly_moves_the_invariants_and_less_at_smaller_steps() -> None:
    """η²(‖g_i‖² − ‖g_{i+1}‖²) in each of T/η steps: the drift over a fixed time is of order η."""
    drifts = []
    for lr, steps in ((0.02, 100), (0.01, 200)):
        model = stack()
        states = trained(model, OptimizerConfig("sgd", lr=lr), steps)
        delta = measure(states, lr).invariants
        drifts.append(np.abs(delta[-1] - delta[0]).max())
    assert drifts[1] == pytest.approx(drifts[0] / 2, rel=0.15)


def test_momentum_breaks_the_law() -> None:
    model = stack()
    states = trained(model, sgd(momentum=0.9), 5)
    assert np.abs(measure(states, 0.05).violation).max() > 1e-4
