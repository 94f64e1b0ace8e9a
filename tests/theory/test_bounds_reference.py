"""Reference: mpmath evaluates the closed formulas; it brackets every inverse within 1e-9, from above. SciPy's beta."""

import math

import mpmath
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import beta

from theory import binomial, bounds

rates, bits, sizes = st.floats(0, 1), st.floats(0, 1e9), st.integers(1, 10**9)
deltas = st.floats(1e-12, 1, exclude_max=True)


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
        assert abs(binomial.kl(q, p) - exact) <= 1e-13 * exact + mpmath.mpf(10) ** -300


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("q", [1e-3, 0.3, 0.9])
def test_kl_keeps_its_digits_where_the_textbook_form_cancels(q: float, gap: float) -> None:
    p = q + gap
    with mpmath.workdps(60):
        assert float(abs(binomial.kl(q, p) / kl_reference(q, mpmath.mpf(p)) - 1)) < 1e-13


@given(st.one_of(rates, st.sampled_from([0.0, 1.0, 1e-12, 1 - 1e-12])), st.floats(-25, 2).map(lambda x: 10**x))
def test_kl_inverse_is_bracketed(q: float, c: float) -> None:
    p = binomial.kl_inverse(q, c)
    assert q <= p <= 1
    with mpmath.workdps(400):
        if p < 1:
            assert kl_reference(q, mpmath.mpf(p)) >= c
        below = mpmath.mpf(p) * (1 - mpmath.mpf("1e-9"))
        if below > q:
            assert kl_reference(q, below) < c


def test_kl_at_the_ends() -> None:
    assert binomial.kl(0.0, 0.0) == binomial.kl(1.0, 1.0) == binomial.kl(0.3, 0.3) == 0
    assert binomial.kl(0.5, 1.0) == binomial.kl(0.5, 0.0) == binomial.kl(1.0, 0.0) == math.inf
    assert binomial.kl(1.0, 0.25) == pytest.approx(math.log(4), rel=1e-15)
    assert binomial.kl_inverse(1.0, 0.0) == binomial.kl_inverse(0.2, math.inf) == 1
    assert 1 - binomial.kl_inverse(0.0, 30.0) == pytest.approx(math.exp(-30), rel=2e-3)  # 2^−53 / e^−30 = 0.0012


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
        (2 * 10**6, 0, 10**7),
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
