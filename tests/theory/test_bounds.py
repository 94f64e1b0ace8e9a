"""Oracle: published and worked numbers. Certificate: mpmath brackets every inverse. Algebra: order and monotonicity.

Simulation: the bounds hold for a random finite class; negative control: without the description bits they do not.
"""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from theory import bounds

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
    assert 1e7 < bounds.samples_needed(0.0, printed, 0.9) < 1e8


def kraft_sum(n: int) -> float:
    """Σ over k ≤ n labels and s ≤ n non-zeros of C(n,s) k^s maps, each of the printed length."""
    return sum(
        math.comb(n, s) * 2 ** (s * math.log2(k) - bounds.theorem2_mapping_bits(s, k, n))
        for k in range(1, n + 1)
        for s in range(n + 1)
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 17, 60])
def test_kraft_sum_of_theorem2(n: int) -> None:
    assert kraft_sum(n) == pytest.approx((1 + 1 / n) ** n / n, rel=1e-10)
    assert (kraft_sum(n) <= 1) == (
        n >= 3
    )  # e/n < 1 proves it for n ≥ 3; at n = 1 and 2 the printed lengths are no code


@given(rates, bits, sizes, deltas)
def test_square_root_bounds_are_their_formulas(q: float, length: float, m: int, delta: float) -> None:
    with mpmath.workdps(40):
        printed = q + mpmath.sqrt((length + mpmath.log(2 / mpmath.mpf(delta))) / (2 * m))
        tight = q + mpmath.sqrt((length * mpmath.log(2) - mpmath.log(mpmath.mpf(delta))) / (2 * m))
        for found, exact in (
            (bounds.theorem1(q, length, m, delta), min(printed, 1)),
            (bounds.occam_hoeffding(q, length, m, delta), min(tight, 1)),
        ):
            assert exact <= found <= exact * (1 + 1e-14)


@given(rates, st.integers(0, 1000), st.floats(0, 64), bits, st.integers(1, 10**9), sizes, deltas)
def test_theorem2_is_the_printed_formula(
    q: float, k: int, b: float, mapping: float, n: int, m: int, delta: float
) -> None:
    found = bounds.theorem2(q, shared_values=k, value_bits=b, mapping_bits=mapping, weights=n, samples=m, delta=delta)
    with mpmath.workdps(40):
        exact = q + mpmath.sqrt((mpmath.mpf(k) * b + mapping + mpmath.log(2 * n / mpmath.mpf(delta))) / (2 * m))
        assert min(exact, 1) <= found <= min(exact, 1) * (1 + 1e-14)


def kl_reference(q: float, p: mpmath.mpf) -> mpmath.mpf:
    q = mpmath.mpf(q)
    first = q * mpmath.log(q / p) if q else mpmath.mpf(0)
    return first + ((1 - q) * mpmath.log((1 - q) / (1 - p)) if q < 1 else 0)


@given(rates, st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_kl_against_mpmath(q: float, p: float) -> None:
    assume(q == 0 or q > 1e-290)
    with mpmath.workdps(700):  # q and p may be 1e-300: 1 − q needs the digits
        exact = kl_reference(q, mpmath.mpf(p))
        assert abs(bounds.kl(q, p) - exact) <= 1e-13 * exact + mpmath.mpf(10) ** -300


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("q", [1e-3, 0.3, 0.9])
def test_kl_keeps_its_digits_where_the_textbook_form_cancels(q: float, gap: float) -> None:
    p = q + gap
    with mpmath.workdps(60):
        assert float(abs(bounds.kl(q, p) / kl_reference(q, mpmath.mpf(p)) - 1)) < 1e-13


@given(st.one_of(rates, st.sampled_from([0.0, 1.0, 1e-12, 1 - 1e-12])), st.floats(-25, 2).map(lambda x: 10**x))
def test_kl_inverse_is_bracketed(q: float, c: float) -> None:
    p = bounds.kl_inverse(q, c)
    assert q <= p <= 1
    with mpmath.workdps(400):
        if p < 1:
            assert kl_reference(q, mpmath.mpf(p)) >= c
        below = mpmath.mpf(p) * (1 - mpmath.mpf("1e-9"))
        if below > q:
            assert kl_reference(q, below) < c


def test_kl_at_the_ends() -> None:
    assert bounds.kl(0.0, 0.0) == bounds.kl(1.0, 1.0) == bounds.kl(0.3, 0.3) == 0
    assert bounds.kl(0.5, 1.0) == bounds.kl(0.5, 0.0) == bounds.kl(1.0, 0.0) == math.inf
    assert bounds.kl(1.0, 0.25) == pytest.approx(math.log(4), rel=1e-15)
    assert bounds.kl_inverse(1.0, 0.0) == bounds.kl_inverse(0.2, math.inf) == 1
    assert 1 - bounds.kl_inverse(0.0, 30.0) == pytest.approx(math.exp(-30), rel=2e-3)  # 2^−53 / e^−30 = 0.0012


def binomial_tail(errors: int, samples: int, p: mpmath.mpf) -> mpmath.mpf:
    """P[Bin(samples, p) ≤ errors], term by term from the largest, in mpmath's unbounded exponents."""
    term = mpmath.binomial(samples, errors) * p**errors * (1 - p) ** (samples - errors)
    total = mpmath.mpf(0)
    for j in range(errors, -1, -1):
        total += term
        if term < total * mpmath.mpf("1e-30"):
            break
        term *= j * (1 - p) / ((samples - j + 1) * p)
    return total


def assert_bracketed(errors: int, description_bits: float, samples: int, delta: float) -> None:
    """P[Bin(m, p) ≤ errors] crosses δ2^−L between p(1 − 1e-9) and p: agreement to 1e-9, and from above."""
    p = bounds.occam_binomial(errors, description_bits, samples, delta)
    with mpmath.workdps(50):
        level = mpmath.mpf(delta) * mpmath.power(2, -mpmath.mpf(description_bits))
        if p < 1:
            assert binomial_tail(errors, samples, mpmath.mpf(p)) <= level
        below = mpmath.mpf(p) * (1 - mpmath.mpf("1e-9"))
        if below > mpmath.mpf(errors) / samples:
            assert binomial_tail(errors, samples, below) > level


@given(st.data(), st.integers(1, 400), st.floats(0, 2000), st.floats(1e-12, 0.999))
def test_binomial_is_bracketed(data: st.DataObject, m: int, length: float, delta: float) -> None:
    assert_bracketed(data.draw(st.integers(0, m)), length, m, delta)


@pytest.mark.parametrize(
    ("errors", "length", "samples"),
    [
        (16_080, 8260, 50_000),
        (5 * 10**7, 0, 10**8),
        (10_000, 0, 50_000),
        (3, 0, 10**9),
        (0, 1e5, 10**9),
        (49_999, 100, 50_000),
        (7, 3e4, 10**6),
    ],
)
def test_binomial_is_bracketed_at_scale(errors: int, length: float, samples: int) -> None:
    assert_bracketed(errors, length, samples, 0.05)


@given(st.data(), st.integers(1, 10_000), st.floats(1e-6, 0.3))
def test_test_set_bound_is_clopper_pearson(data: st.DataObject, m: int, delta: float) -> None:
    errors = data.draw(st.integers(0, m - 1))
    assert bounds.test_set_bound(errors, m, delta) == pytest.approx(beta.isf(delta, errors + 1, m - errors), rel=1e-9)


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


@given(rates, bits, deltas, st.floats(1e-6, 1))
def test_samples_needed_is_the_least(q: float, length: float, delta: float, fraction: float) -> None:
    level = q + fraction * (1 - q)
    assume(level >= q + 1e-9)
    m = bounds.samples_needed(q, length, level, delta)
    assert bounds.occam_kl(q, length, m, delta) < level
    assert m == 1 or bounds.occam_kl(q, length, m - 1, delta) >= level


@pytest.mark.parametrize("bound", OCCAM)
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((-0.1, 10.0, 100, 0.05), "train_error"),
        ((1.1, 10.0, 100, 0.05), "train_error"),
        ((math.nan, 10.0, 100, 0.05), "train_error"),
        ((0.1, -1.0, 100, 0.05), "description_bits"),
        ((0.1, math.inf, 100, 0.05), "description_bits"),
        ((0.1, math.nan, 100, 0.05), "description_bits"),
        ((0.1, 10.0, 0, 0.05), "samples"),
        ((0.1, 10.0, 100, 0.0), "delta"),
        ((0.1, 10.0, 100, 1.0), "delta"),
        ((0.1, 10.0, 100, math.nan), "delta"),
    ],
)
def test_invalid_arguments_are_named(bound, arguments: tuple, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        bound(*arguments)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: bounds.occam_binomial(11, 0.0, 10), "errors"),
        (lambda: bounds.occam_binomial(-1, 0.0, 10), "errors"),
        (lambda: bounds.occam_binomial(0, 0.0, 0), "samples"),
        (lambda: bounds.occam_binomial(1, math.nan, 10), "description_bits"),
        (lambda: bounds.test_set_bound(1, 10, 2.0), "delta"),
        (lambda: bounds.catoni(0.1, 10.0, 100, a=0.0), "a"),
        (lambda: bounds.samples_needed(0.5, 10.0, 0.5), "level"),
        (lambda: bounds.samples_needed(0.5, 10.0, 1.5), "level"),
        (lambda: bounds.kl(1.5, 0.5), "q and p"),
        (lambda: bounds.kl_inverse(-0.5, 0.5), "q"),
        (lambda: bounds.kl_inverse(0.5, math.nan), "c"),
        (lambda: bounds.theorem2_mapping_bits(5, 1, 4), "nonzeros"),
        (lambda: bounds.theorem2_mapping_bits(1, 0, 4), "shared_values"),
        (
            lambda: bounds.theorem2(0.1, shared_values=1, value_bits=8, mapping_bits=-1, weights=4, samples=10),
            "mapping_bits",
        ),
        (
            lambda: bounds.theorem2(0.1, shared_values=1, value_bits=8, mapping_bits=1, weights=0, samples=10),
            "weights",
        ),
    ],
)
def test_other_invalid_arguments_are_named(call, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        call()


M, DELTA, TRIALS = 60, 0.1, 4000


def violations(lengths: np.ndarray, charged: np.ndarray) -> dict[str, int]:
    """Trials in which some hypothesis's true error exceeds its bound; the class has lengths `lengths` bits."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.05, 0.7, len(lengths))
    errors = rng.binomial(M, truth, (TRIALS, len(lengths)))
    found = {}
    for name in ("occam_binomial", "occam_kl", "occam_hoeffding", "theorem1"):
        bound = getattr(bounds, name)
        scale = 1 if name == "occam_binomial" else M
        table = np.array([[bound(k if scale == 1 else k / M, b, M, DELTA) for k in range(M + 1)] for b in charged])
        found[name] = int((table[np.arange(len(lengths)), errors] < truth).any(axis=1).sum())
    return found


def test_coverage_of_a_random_finite_class() -> None:
    lengths = np.repeat([2.0, 4.0, 5.0], [2, 4, 8])  # Kraft sum 1/2 + 1/4 + 1/4
    allowed = binom.isf(1e-6, TRIALS, DELTA)  # a valid bound exceeds this once in 10⁶ seeds
    found = violations(lengths, lengths)
    assert 2.0**-lengths @ np.ones(len(lengths)) == 1
    assert all(count <= allowed for count in found.values()), found
    assert found["occam_binomial"] > 0.2 * DELTA * TRIALS  # the tightest comes near to δ: the test has power


def test_without_the_description_bits_coverage_fails() -> None:
    lengths = np.repeat([2.0, 4.0, 5.0], [2, 4, 8])
    assert violations(lengths, np.zeros(len(lengths)))["occam_binomial"] > 3 * DELTA * TRIALS
