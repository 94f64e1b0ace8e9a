"""Oracle: 60 digits. Every operation's exact result lies in its ball, for arguments anywhere in theirs.

Negative control: with no rounding granted, exact results lie outside.
"""

import itertools
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from lcfs.descriptions import balls, operator_norms
from lcfs.descriptions.balls import Ball

SEEDS = range(12)
Exact = np.ndarray  # of mpmath numbers


def exact(x: Tensor) -> Exact:
    return np.vectorize(mpmath.mpf, otypes=[object])(x.numpy())


def correlated(x: Exact, weight: Exact, stride: int, padding: int, shared: bool) -> Exact:
    """One image [c, h, w] under filters [o, c, k, k], or [rows, columns, o, c, k, k], loop by loop."""
    size = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2), constant_values=mpmath.mpf(0))
    rows, columns = ((side - size) // stride + 1 for side in padded.shape[1:])
    y = np.empty((weight.shape[-4], rows, columns), object)
    for o, r, c in itertools.product(range(len(y)), range(rows), range(columns)):
        window = padded[:, r * stride : r * stride + size, c * stride : c * stride + size]
        y[o, r, c] = (window * (weight[o] if shared else weight[r, c, o])).sum()
    return y


def normalized(x: Exact) -> Exact:
    d = x - x.sum() / x.size
    return d / mpmath.sqrt((d * d).sum() / x.size + mpmath.mpf(1e-5))


def draw(generator: torch.Generator, *shape: int) -> Tensor:
    """Numbers of very different size, in float64."""
    magnitude = torch.exp(4 * torch.randn(shape, generator=generator, dtype=torch.float64))
    return torch.randn(shape, generator=generator, dtype=torch.float64) * magnitude


def case(name: str, seed: int) -> tuple[tuple[int, ...], Callable[[Ball], Ball], Callable[[Exact], Exact]]:
    """(shape of an image, the operation on balls, the exact operation on one image)."""
    g = torch.Generator().manual_seed(seed)
    stride = 1 + seed % 2
    if name == "linear":
        w, b = draw(g, 3, 40), draw(g, 3)
        operator = operator_norms.matrix(w, b)
        return (40,), lambda x: balls.linear(x, operator), lambda x: exact(w) @ x + exact(b)
    if name == "mix":
        w = draw(g, 3, 5)
        mixing = operator_norms.matrix(w, None)
        return (5, 2, 3), lambda x: balls.linear(x, mixing), lambda x: np.tensordot(exact(w), x, 1)
    if name == "convolution":
        w, b = draw(g, 2, 3, 3, 3), draw(g, 2)
        operator = operator_norms.convolution(w, b, stride)
        return (
            (3, 5, 4),
            lambda x: balls.convolution(x, operator, stride, 1),
            lambda x: correlated(x, exact(w), stride, 1, True) + exact(b)[:, None, None],
        )
    if name == "local":
        rows, columns = -(-5 // stride), -(-4 // stride)
        w, b = draw(g, rows, columns, 2, 3, 3, 3), draw(g, 2, rows, columns)
        operator = operator_norms.local(w, b, 2, stride)
        return (
            (3, 5, 4),
            lambda x: balls.local(x, operator, stride, 1),
            lambda x: correlated(x, exact(w), stride, 1, False) + exact(b),
        )
    if name == "depthwise":
        k = draw(g, 3, 3, 3)
        operator = operator_norms.depthwise(k, skip=False)
        one = np.array([[mpmath.mpf(int(i == j)) for j in range(3)] for i in range(3)])[..., None, None]
        return (
            (3, 4, 4),
            lambda x: balls.depthwise(x, operator),
            lambda x: correlated(x, one * exact(k)[:, None], 1, 1, True),
        )
    if name == "mean":
        return (3, 4, 4), lambda x: balls.mean(x, (2, 3)), lambda x: x.sum((1, 2)) / 16
    if name == "add":
        return (7,), lambda x: balls.add(x, balls.relu(x)), lambda x: x + np.maximum(x, 0)
    if name == "shift":
        b = draw(g, 7)
        return (7,), lambda x: balls.shift(x, b), lambda x: x + exact(b)
    assert name == "normalize"
    return (3, 4, 4), lambda x: balls.normalize(x, 1e-5), normalized


NAMES = ("linear", "mix", "convolution", "local", "depthwise", "mean", "add", "shift", "normalize")


def outside(name: str, radius: float, seeds: range = SEEDS) -> int:
    """In how many cases the exact result lies outside its ball."""
    count = 0
    for seed in seeds:
        shape, operation, reference = case(name, seed)
        g = torch.Generator().manual_seed(1000 + seed)
        x = draw(g, 2, *shape)
        moved = torch.randn(x.shape, generator=g, dtype=torch.float64)
        moved = 0.999 * radius * x.abs().max() * moved / moved.flatten(1).norm(dim=1).view(-1, *[1] * len(shape))
        y = operation(Ball(x, (radius * x.abs().max()).expand(2)))
        with mpmath.workdps(60):
            for i in range(2):
                difference = exact(y.center[i]) - reference(exact(x[i]) + exact(moved[i]))
                count += bool(mpmath.sqrt((difference**2).sum()) > mpmath.mpf(float(y.radius[i])))
    return count


@pytest.mark.parametrize("radius", [0.0, 1e-12, 1e-3])
@pytest.mark.parametrize("name", NAMES)
def test_the_exact_result_is_in_the_ball(name: str, radius: float) -> None:
    assert outside(name, radius) == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "add"])
def test_without_rounding_granted_it_is_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: γ and u are what holds exact results inside."""
    monkeypatch.setattr(balls, "_gamma", lambda terms: 0.0)
    monkeypatch.setattr(balls, "_UNIT", 0.0)
    assert outside(name, 0.0) > 0


@pytest.mark.parametrize("name", NAMES)
def test_without_the_norms_it_is_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a ball that is passed on at a tenth of its size is too small."""
    grown = balls._grown
    monkeypatch.setattr(balls, "_grown", lambda ball, more: grown(Ball(ball.center, ball.radius / 30), more))
    assert outside(name, 1e-3) > 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (7, 3), (24, 24)])
def test_norms_are_above_the_singular_values_and_near(shape: tuple[int, int], seed: int) -> None:
    w = draw(torch.Generator().manual_seed(seed), *shape)
    largest = np.linalg.svd(w.numpy(), compute_uv=False)[0]
    assert largest <= operator_norms.matrix(w, None).norm <= 1.06 * largest


def test_filters_of_zeros_have_no_norm() -> None:
    weight = torch.zeros(2, 2, 3, 1, 3, 3, dtype=torch.float64)
    assert operator_norms.local(weight, None, 2, 1).norm == 0
    weight[0, 0] = 1
    assert 0 < operator_norms.local(weight, None, 2, 1).norm < 3 * 3 * 3


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_norms_of_convolutions_are_above_their_matrices(size: int, stride: int) -> None:
    """Oracle: the matrix of the layer on an image of 8 × 8, column by column."""
    w = torch.randn(4, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    columns = torch.eye(3 * 64, dtype=torch.float64).view(-1, 3, 8, 8)
    matrix = torch.nn.functional.conv2d(columns, w, stride=stride, padding=size // 2).flatten(1)
    largest = float(torch.linalg.matrix_norm(matrix, 2))
    operator = operator_norms.convolution(w, None, stride)
    assert largest <= operator.norm <= (1.6 if stride == 1 else 3) * largest
    absolute = torch.nn.functional.conv2d(columns, w.abs(), stride=stride, padding=size // 2).flatten(1)
    assert float(torch.linalg.matrix_norm(absolute, 2)) <= operator.absolute_norm


def test_overflow_and_normalization_of_nearly_nothing_lead_to_no_number() -> None:
    huge = Ball.exact(torch.full((1, 4), 1e200, dtype=torch.float64))
    y = balls.linear(
        balls.linear(huge, operator_norms.matrix(torch.full((4, 4), 1e200, dtype=torch.float64), None)),
        operator_norms.matrix(torch.full((4, 4), 1e200, dtype=torch.float64), None),
    )
    assert not torch.isfinite(y.radius).any()
    flat = Ball(torch.ones(1, 4, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    assert balls.normalize(flat, 1e-5).radius.isnan().all()
