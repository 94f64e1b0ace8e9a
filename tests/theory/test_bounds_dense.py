"""Reference: thousands of bounds against 60 digits, none of which may be below the exact value by the least bit.

Negative control: without the slack that covers rounding, some are.
"""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from theory import binomial, bounds

mpf = mpmath.mpf


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def closed_formulas(cases: int) -> int:
    """How many of Theorem 1, Theorem 2 and Occam–Hoeffding are below their formulas."""
    rng, below = np.random.default_rng(0), 0
    for _ in range(cases):
        m, length, delta = int(log_uniform(rng, 1e2, 1e9)), log_uniform(rng, 1, 1e4), log_uniform(rng, 1e-9, 0.5)
        q, n, k, b = float(rng.uniform(0, 0.5)), int(rng.integers(3, 10**9)), int(rng.integers(1, 100)), 16
        nats = mpf(length) * mpmath.log(2) - mpmath.log(mpf(delta))
        second = bounds.theorem2(
            q, shared_values=k, value_bits=b, mapping_bits=length, weights=n, samples=m, delta=delta
        )
        for computed, complexity in (
            (bounds.theorem1(q, length, m, delta), mpf(length) + mpmath.log(2 / mpf(delta))),
            (bounds.occam_hoeffding(q, length, m, delta), nats),
            (second, mpf(k) * b + mpf(length) + mpmath.log(2 * mpf(n) / mpf(delta))),
        ):
            below += computed < 1 and mpf(computed) < q + mpmath.sqrt(complexity / (2 * m))
    return below


def divergence(q: mpmath.mpf, p: mpmath.mpf) -> mpmath.mpf:
    first = q * mpmath.log(q / p) if q else mpf(0)
    return first + ((1 - q) * mpmath.log((1 - q) / (1 - p)) if q < 1 else 0)


def kl_inverses(cases: int) -> int:
    """How many values of kl⁻¹(q, c) are too small."""
    rng, below = np.random.default_rng(1), 0
    for case in range(cases):
        q = 0.0 if case % 10 == 0 else log_uniform(rng, 1e-6, 0.9)
        c = log_uniform(rng, 1e-8, 3)
        p = bounds.kl_inverse(q, c)
        below += p < 1 and divergence(mpf(q), mpf(p)) < mpf(c)
    return below


def tail(errors: int, samples: int, p: mpmath.mpf) -> mpmath.mpf:
    """P[Bin(samples, p) ≤ errors]."""
    term = mpmath.binomial(samples, errors) * p**errors * (1 - p) ** (samples - errors)
    total = mpf(0)
    for j in range(errors, -1, -1):
        total += term
        if term < total * mpf("1e-40"):
            break
        term *= j * (1 - p) / ((samples - j + 1) * p)
    return total


def binomial_inverses(cases: int) -> int:
    """How many Occam–binomial bounds are below sup{p : P[Bin(m, p) ≤ k] ≥ δ 2^−L}."""
    rng, below = np.random.default_rng(2), 0
    for _ in range(cases):
        m = int(log_uniform(rng, 10, 3000))
        k, length, delta = int(rng.integers(0, m)), log_uniform(rng, 0.1, m), log_uniform(rng, 1e-6, 0.5)
        p = bounds.occam_binomial(k, length, m, delta)
        below += p < 1 and tail(k, m, mpf(p)) > mpf(delta) * mpf(2) ** -mpf(length)
    return below


SLACKS = [(closed_formulas, 500, "_ULPS"), (kl_inverses, 1500, "_KL_SLACK"), (binomial_inverses, 300, "_TAIL_SLACK")]


@pytest.mark.parametrize(("count", "cases", "slack"), SLACKS, ids=lambda value: getattr(value, "__name__", value))
def test_no_bound_is_below_the_exact_one(
    count: Callable[[int], int], cases: int, slack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mpmath.workdps(60):
        assert count(cases) == 0
        if slack == "_TAIL_SLACK":  # the last rounding up covers what it covers, where samples are so few
            monkeypatch.setattr(binomial, "_ULPS", 0.0)
        monkeypatch.setattr(binomial, slack, 0.0)
        assert count(cases) > 0, f"{slack} is not needed"


def test_slacks_are_small() -> None:
    """Positive slacks cost nothing that anybody sees."""
    assert 0 < binomial._ULPS < 1e-14
    assert 0 < binomial._KL_SLACK <= 1e-12
    assert 0 < binomial._TAIL_SLACK <= 1e-9
    assert math.isclose(bounds.kl_inverse(0.0, 0.01), -math.expm1(-0.01), rel_tol=1e-12)
