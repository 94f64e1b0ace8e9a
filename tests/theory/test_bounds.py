"""Oracle: published and worked numbers. Algebra: the order of the bounds, monotone in each argument, at extremes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import bounds, verdicts

ROUNDING = 1e-11  # above the slack 1e-13 of `kl_inverse`, which may lift a bound over one that equals it to first order

rates = st.floats(0, 1)
bits = st.floats(0, 1e9)
sizes = st.integers(1, 10**9)
deltas = st.floats(1e-12, 1, exclude_max=True)
OCCAM = (bounds.theorem1, bounds.occam_hoeffding, bounds.occam_kl, bounds.catoni)


def test_worked_values() -> None:
    assert round(bounds.theorem1(0.0, 10_000, 50_000), 3) == 0.316
    assert round(bounds.occam_hoeffding(0.0, 10_000, 50_000), 3) == 0.263
    assert round(bounds.occam_kl(0.0, 10_000, 50_000), 4) == 0.1295
    assert round(bounds.theorem1(0.2, 10_000, 50_000), 3) == 0.516
    assert round(bounds.occam_hoeffding(0.2, 10_000, 50_000), 3) == 0.463
    assert round(bounds.occam_kl(0.2, 10_000, 50_000), 4) == 0.4511
    assert round(bounds.occam_binomial(10_000, 10_000, 50_000), 4) == 0.4510


def test_published_cifar10_record() -> None:
    assert round(100 * bounds.catoni(0.3216, 8260, 50_000), 2) == 55.97
    assert round(100 * bounds.occam_kl(0.3216, 8260, 50_000), 2) == 55.92
    assert round(100 * bounds.occam_binomial(16_080, 8260, 50_000), 2) == 55.91


def test_a_net_of_2_5_million_nonzeros_is_vacuous() -> None:
    n, s, k, b = 256_000_000, 2_500_000, 16, 16
    printed = bounds.theorem2_mapping_bits(s, k, n) + k * b
    support = (math.lgamma(n + 1) - math.lgamma(s + 1) - math.lgamma(n - s + 1)) / math.log(2)
    assert round(printed / 1e6, 1) == 79.8
    assert round(support / 1e6, 3) == 20.284
    assert round((support + s * math.log2(k)) / 1e6, 1) == 30.3  # the same maps, counted: the printed length is loose
    assert bounds.occam_kl(0.0, 166_000, 50_000) < 0.9 < bounds.occam_kl(0.0, 167_000, 50_000)
    assert bounds.theorem2(0.0, shared_values=k, value_bits=b, mapping_bits=printed, weights=n, samples=50_000) == 1.0
    assert 1e7 < verdicts.samples_needed(0, printed, 1, 0.9) < 1e8


def test_test_set_bound_of_no_error_and_of_errors_only() -> None:
    assert bounds.test_set_bound(0, 100, 0.05) == pytest.approx(1 - 0.05**0.01, rel=1e-9)
    assert bounds.test_set_bound(100, 100, 0.05) == 1


@given(st.data(), sizes, bits, deltas)
def test_order(data: st.DataObject, m: int, length: float, delta: float) -> None:
    errors = data.draw(st.integers(0, m))
    q = errors / m
    binomial = bounds.occam_binomial(errors, length, m, delta)
    tight, hoeffding, printed, catoni = (
        f(q, length, m, delta) for f in (bounds.occam_kl, bounds.occam_hoeffding, bounds.theorem1, bounds.catoni)
    )
    assert q <= binomial <= tight
    assert tight <= hoeffding * (1 + ROUNDING)
    assert tight <= catoni * (1 + ROUNDING)
    assert hoeffding <= printed <= 1
    assert catoni <= 1


@pytest.mark.parametrize("bound", OCCAM)
@given(q=rates, length=bits, m=sizes, delta=deltas, other=st.tuples(rates, bits, sizes, deltas))
def test_monotone_in_each_argument(bound, q, length, m, delta, other) -> None:
    slack = 1e-5 if bound is bounds.catoni else ROUNDING  # Catoni's γ comes from a grid that moves with m
    here = bound(q, length, m, delta) * (1 + slack)
    assert bound(min(q, other[0]), length, m, delta) <= here
    assert bound(q, min(length, other[1]), m, delta) <= here
    assert bound(q, length, m, max(delta, other[3])) <= here
    assert bound(q, length, max(m, other[2]), delta) <= here


@given(st.data(), st.integers(1, 10**6), bits, bits, deltas, deltas)
def test_binomial_is_monotone(data, m: int, length: float, shorter: float, delta: float, surer: float) -> None:
    errors = data.draw(st.integers(0, m))
    here = bounds.occam_binomial(errors, length, m, delta) * (1 + 1e-9)  # Newton's slack is 1e-10
    assert bounds.occam_binomial(data.draw(st.integers(0, errors)), length, m, delta) <= here
    assert bounds.occam_binomial(errors, min(length, shorter), m, delta) <= here
    assert bounds.occam_binomial(errors, length, m, max(delta, surer)) <= here
    assert bounds.occam_binomial(errors, length, m + data.draw(st.integers(0, m)), delta) <= here


@pytest.mark.parametrize("bound", OCCAM)
def test_extremes(bound) -> None:
    for q in (0.0, 5e-324, 0.5, 1.0):
        for length in (0.0, 1e9):
            for m in (1, 10**9):
                for delta in (5e-324, 0.05, 1 - 2**-53):
                    assert q <= bound(q, length, m, delta) <= 1
