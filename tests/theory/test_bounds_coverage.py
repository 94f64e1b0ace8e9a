"""Simulation: random finite classes on random distributions exceed their bounds no more often than δ.

Certificate: for one hypothesis the probability of failure is computed, not sampled. Negative control: without its
description bits the class exceeds the bound far more often.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import binom

from theory import bounds

DELTA = 0.1
TRIALS = 4000
SEEDS = (0, 1, 2)
LEAST_P = 1e-6 / 24  # a valid bound fails one of the 24 comparisons below with probability 10⁻⁶ at most
MEAN = ("occam_kl", "occam_hoeffding", "theorem1", "catoni")  # for any loss in [0, 1]


@dataclass(frozen=True)
class Problem:
    """A finite domain, a distribution on it, and a class of hypotheses with a complete prefix-free code."""

    distribution: np.ndarray  # [points]
    losses: np.ndarray  # [hypotheses, points], integers in [0, levels]
    bits: np.ndarray  # [hypotheses]
    levels: int  # the loss is losses / levels
    samples: int


def random_problem(seed: int, levels: int) -> Problem:
    rng = np.random.default_rng(seed)
    bits = [0]
    for _ in range(int(rng.integers(5, 20))):  # split a random leaf of the code's tree
        leaf = bits.pop(int(rng.integers(len(bits))))
        bits += [leaf + 1, leaf + 1]
    distribution = rng.dirichlet(np.ones(40))
    losses = levels * rng.binomial(1, rng.uniform(0.05, 0.7, (len(bits), 1)), (len(bits), 40))
    losses[:, :10] = rng.integers(0, levels + 1, (len(bits), 10))  # some losses between 0 and 1
    return Problem(distribution, losses, np.array(bits), levels, samples=int(rng.integers(15, 40)))


def values(name: str, length: float, samples: int, levels: int = 1) -> np.ndarray:
    """The bound at each train loss 0, 1/(levels·samples), …, 1."""
    total = levels * samples
    if name == "occam_binomial":
        return np.array([bounds.occam_binomial(i, length, samples, DELTA) for i in range(total + 1)])
    return np.array([getattr(bounds, name)(i / total, length, samples, DELTA) for i in range(total + 1)])


def failures(problem: Problem, name: str, charged_bits: np.ndarray) -> int:
    """Trials in which some hypothesis's true loss exceeds its bound."""
    tables = {x: values(name, float(x), problem.samples, problem.levels) for x in set(charged_bits.tolist())}
    truth = problem.losses @ problem.distribution / problem.levels
    drawn = np.random.default_rng(99).multinomial(problem.samples, problem.distribution, TRIALS)
    found = zip(charged_bits.tolist(), truth, problem.losses @ drawn.T, strict=True)  # sums over the sample, per trial
    return int(np.any([tables[length][total] < loss for length, loss, total in found], axis=0).sum())


ALLOWED = binom.isf(LEAST_P, TRIALS, DELTA)


@pytest.mark.parametrize("seed", SEEDS)
def test_coverage_for_the_0_1_loss(seed: int) -> None:
    problem = random_problem(seed, levels=1)
    assert np.exp2(-problem.bits).sum() == 1
    found = {name: failures(problem, name, problem.bits) for name in ("occam_binomial", *MEAN)}
    assert max(found.values()) <= ALLOWED, found
    assert found["occam_binomial"] >= found["occam_kl"] >= found["occam_hoeffding"] >= found["theorem1"]
    assert found["occam_binomial"] > 0.1 * DELTA * TRIALS  # near enough to δ for the test to have power


@pytest.mark.parametrize("seed", SEEDS)
def test_coverage_for_a_graded_loss(seed: int) -> None:
    problem = random_problem(seed, levels=3)
    found = {name: failures(problem, name, problem.bits) for name in MEAN[:3]}
    assert max(found.values()) <= ALLOWED, found
    assert found["occam_kl"] > 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["occam_binomial", "occam_kl"])
def test_without_the_description_bits_coverage_fails(seed: int, name: str) -> None:
    problem = random_problem(seed, levels=1)
    assert failures(problem, name, np.zeros_like(problem.bits)) > ALLOWED


@pytest.mark.parametrize("length", [0.0, 3.0])
def test_exact_probability_that_one_hypothesis_fails(length: float) -> None:
    """It is largest just above a bound's value U(i), where it is P[Bin(m, U(i)) ≤ i], and never above δ 2^−L."""
    samples, level = 60, DELTA * 2**-length
    for name in ("occam_binomial", *MEAN):
        upper = values(name, length, samples)
        risk = binom.cdf(np.arange(samples + 1), samples, upper)[upper < 1]
        assert np.all(np.diff(upper) >= 0)
        assert risk.max() <= level * (1 + 1e-9), name  # SciPy's rounding
        if name == "occam_binomial":
            assert risk.min() >= level * (1 - 1e-6)  # the exact inverse spends all of it
