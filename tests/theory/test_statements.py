"""Reference: bounds.py computes these formulas. Symbolic: the claims of each docstring. Oracle: enumerated nets, maps.

Negative control: an unbounded loss breaks Theorem 1, and natural logs break the code of Theorem 2.
"""

import itertools
import math
import subprocess
import sys
from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory import bounds, statements
from theory.statements import DESCRIPTION_BITS, MAPPING_BITS, READINGS, D, L, V, b, delta, k, m, n, q, s

ROUNDING = 1e-12  # relative: a few operations in float64

rates, bits, sizes = st.floats(0, 1), st.floats(0, 1e9), st.integers(1, 10**9)
deltas = st.floats(1e-12, 1, exclude_max=True)


def is_zero(expression: sp.Expr) -> bool:
    return sp.simplify(sp.expand_log(sp.expand(expression), force=True)) == 0


# The formulas of bounds.py --------------------------------------------------------------------------------------------

LAMBDIFIED = {
    "theorem1": sp.lambdify((q, L, m, delta), statements.theorem1()),
    "occam_hoeffding": sp.lambdify((q, L, m, delta), statements.occam_hoeffding()),
    "theorem2": sp.lambdify((q, k, b, D, n, m, delta), statements.theorem2()),
    "mapping_bits": sp.lambdify((s, k, n), MAPPING_BITS),
}


@pytest.mark.parametrize("name", ["theorem1", "occam_hoeffding"])
@given(rates, bits, sizes, deltas)
def test_theorem1_and_its_tight_form(name: str, rate: float, length: float, samples: int, risk: float) -> None:
    value = min(LAMBDIFIED[name](rate, length, samples, risk), 1)
    assert getattr(bounds, name)(rate, length, samples, risk) == pytest.approx(value, rel=ROUNDING)


@given(rates, st.integers(1, 1000), st.floats(0, 64), bits, sizes, sizes, deltas)
def test_theorem2_and_the_tight_bound_that_implies_it(rate, shared, width, mapping, weights, samples, risk) -> None:
    value = min(LAMBDIFIED["theorem2"](rate, shared, width, mapping, weights, samples, risk), 1)
    code = {"shared_values": shared, "value_bits": width, "mapping_bits": mapping, "weights": weights}
    printed = bounds.theorem2(rate, **code, samples=samples, delta=risk)
    assert printed == pytest.approx(value, rel=ROUNDING)
    description = shared * width + mapping + math.log2(weights)
    assert bounds.occam_hoeffding(rate, description, samples, risk) <= printed * (1 + ROUNDING)


@given(st.data(), sizes, sizes)
def test_mapping_bits(data: st.DataObject, weights: int, shared: int) -> None:
    nonzeros = data.draw(st.integers(0, weights))
    value = LAMBDIFIED["mapping_bits"](nonzeros, shared, weights)
    assert bounds.theorem2_mapping_bits(nonzeros, shared, weights) == pytest.approx(value, rel=ROUNDING)


def test_importing_theory_does_not_import_sympy() -> None:
    subprocess.run([sys.executable, "-c", "import sys, theory; assert 'sympy' not in sys.modules"], check=True)


# Theorem 1, and Theorem 2 from it -------------------------------------------------------------------------------------


def test_what_each_bound_spends_on_one_hypothesis() -> None:
    tight, printed = statements.spent(statements.occam_hoeffding()), statements.spent(statements.theorem1())
    assert is_zero(tight - delta * 2**-L)  # Kraft's inequality sums it to δ, exactly
    assert is_zero(printed / tight - (2 / sp.E) ** L / 2)  # at most 1/2 of it, and less with every bit


def test_printed_theorem1_with_its_length_in_nats_is_the_tight_form_at_half_delta() -> None:
    halved = statements.occam_hoeffding().subs(delta, delta / 2)
    assert is_zero(statements.charged(statements.theorem1(L * sp.log(2))) - statements.charged(halved))


@pytest.mark.parametrize("samples", [1, 100, 50_000])
def test_theorem1_fails_for_an_unbounded_loss(samples: int) -> None:
    risk, rare = sp.Rational(1, 20), sp.Rational(1, 2 * samples)
    bound = statements.theorem1().subs({q: 0, L: 10, m: samples, delta: risk})
    example = statements.unbounded_loss(rare, sp.ceiling(bound / rare) + 1)
    assert example.true_loss > bound
    assert example.probability.subs(m, samples) > risk


def test_theorem2_is_theorem1_with_its_header_in_nats() -> None:
    reduction = statements.reduction()
    assert sp.expand_log(statements.theorem1(reduction.length) - statements.theorem2()) == 0
    assert is_zero(reduction.header_shortfall - (1 / sp.log(2) - 1) * sp.log(n))  # 0.44 ln n
    honest = statements.theorem1(DESCRIPTION_BITS)
    missing = statements.charged(honest) - statements.charged(statements.theorem2())
    assert is_zero(missing - reduction.header_shortfall)
    assert missing.subs(n, 10) > 0  # Theorem 1 as printed asks for more than Theorem 2 as printed charges


def test_the_tight_form_gives_theorem2_with_nats_to_spare() -> None:
    assert is_zero(statements.reduction().nats_to_spare - (k * b + D) * (1 - sp.log(2)) - sp.log(2))


# Kraft's inequality ---------------------------------------------------------------------------------------------------


def enumerated_kraft_sum(weights: int) -> Fraction:
    """Σ over k ≤ n and every map from n weights to {0, …, k}, one by one, of 1 / ((kn)^s n²), exactly."""
    return sum(
        Fraction(1, (labels * weights) ** sum(label > 0 for label in labelling) * weights**2)
        for labels in range(1, weights + 1)
        for labelling in itertools.product(range(labels + 1), repeat=weights)
    )


@pytest.mark.parametrize(("weights", "value"), [(1, "2"), (2, "9/8"), (3, "64/81"), (4, "625/1024"), (5, "7776/15625")])
def test_each_line_of_the_derivation_is_the_enumerated_sum(weights: int, value: str) -> None:
    assert enumerated_kraft_sum(weights) == Fraction(value)
    assert {line.subs(n, weights).doit() for line in statements.kraft_derivation()} == {sp.Rational(value)}


def test_the_derivation_ends_in_the_closed_form_below_e_over_n() -> None:
    assert is_zero(statements.kraft_derivation()[-1] - (1 + 1 / n) ** n / n)
    x = sp.Symbol("x", positive=True)
    assert sp.limit((1 + 1 / x) ** x, x, sp.oo) == sp.E
    assert sp.E / 2 > 1 > sp.E / 3


@pytest.mark.parametrize("weights", [1, 2, 3, 17, 60])
def test_lengths_of_bounds_py_have_this_kraft_sum(weights: int) -> None:
    total = math.fsum(
        math.comb(weights, i) * 2 ** (i * math.log2(labels) - bounds.theorem2_mapping_bits(i, labels, weights))
        for labels in range(1, weights + 1)
        for i in range(weights + 1)
    )
    assert total == pytest.approx((1 + 1 / weights) ** weights / weights, rel=1e-10)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_the_least_n_of_each_reading(reading: statements.Reading) -> None:
    sums = [statements.kraft_sum(reading.words).subs(n, i).doit() for i in range(1, 6)]
    holds = [i for i, value in enumerate(sums, 1) if value <= 1]
    assert holds == ([] if reading.least_n is None else list(range(reading.least_n, 6)))
    assert sums == sorted(sums, reverse=True)


def test_in_nats_the_lengths_are_never_a_code() -> None:
    floor = statements.kraft_nats_floor()
    in_nats = sp.lambdify(n, statements.kraft_sum(length=statements.MAPPING_NATS), "mpmath")
    for weights in (1, 2, 3, 10, 30):
        assert in_nats(weights) >= floor.subs(n, weights).evalf() > 1.6
    x = sp.Symbol("x", positive=True)
    lowest = sp.nsolve(sp.diff(floor.subs(n, x), x), x, 3.7)  # the only one: both powers are monotone, one falls
    assert 3.6 < lowest < 3.8
    assert floor.subs(n, lowest) > 1.6


@pytest.mark.parametrize("width", [0, 1, 8])
def test_printed_theorem2_holds_also_where_its_code_does_not_exist(width: int) -> None:
    natural, binary = (
        sp.lambdify((n, b, delta), statements.failure(mapping), "mpmath")
        for mapping in (statements.MAPPING_NATS, MAPPING_BITS)
    )
    for weights in range(1, 20):
        stated = (1 + 1 / weights) ** weights / (2 * weights**2)
        assert binary(weights, width, 1.0) <= natural(weights, width, 1.0) * (1 + ROUNDING)
        assert natural(weights, width, 1.0) <= stated * (1 + ROUNDING)
        assert stated <= 1


# What the length pays for ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [1, 3, 4])
def test_count_of_weight_vectors(weights: int) -> None:
    vectors = [set(w) - {0} for w in itertools.product(range(4), repeat=weights)]
    support = [sum(x > 0 for x in w) for w in itertools.product(range(4), repeat=weights)]
    for nonzeros in range(weights + 1):
        for distinct in range(4):
            counted = sum(i == nonzeros and len(w) == distinct for i, w in zip(support, vectors, strict=True))
            assert statements.WEIGHT_VECTORS.subs({n: weights, s: nonzeros, k: distinct, V: 3}).doit() == counted


def test_waste_is_the_length_beyond_the_count() -> None:
    description = DESCRIPTION_BITS.subs(D, MAPPING_BITS)
    beyond = description - statements.log2(statements.WEIGHT_VECTORS) - statements.waste().total()
    for kind in (sp.Sum, sp.factorial):  # sympy does not know that these are positive
        beyond = beyond.rewrite(sp.factorial)
        beyond = beyond.xreplace({atom: sp.Dummy(positive=True) for atom in beyond.atoms(kind)})
    assert is_zero(beyond)


WASTED = sp.lambdify((n, s, k, b, V), list(vars(statements.waste()).values()), "mpmath")


@given(st.data(), st.integers(1, 40))
def test_no_waste_is_negative(data: st.DataObject, weights: int) -> None:
    nonzeros = data.draw(st.integers(1, weights))
    shared, width = data.draw(st.integers(1, nonzeros)), data.draw(st.integers(6, 16))
    found = WASTED(weights, nonzeros, shared, width, 2**width - 1)
    assert all(part >= -1e-9 for part in found), found


def test_waste_of_a_net_of_2_5_million_nonzeros() -> None:
    """79.8 Mbit as printed, 30.3 Mbit for the count, and the order of the non-zeros is all but 18 kbit of the rest."""
    size = mpmath.mpf(256_000_000), mpmath.mpf(2_500_000), 16, 16, mpmath.mpf(65_535)
    with mpmath.workdps(30):
        printed, counted = (
            sp.lambdify((n, s, k, b, V), length, "mpmath")(*size)
            for length in (DESCRIPTION_BITS.subs(D, MAPPING_BITS), statements.log2(statements.WEIGHT_VECTORS))
        )
        order, *rest = WASTED(*size)
    assert round(float(printed) / 1e6, 1) == 79.8
    assert round(float(counted) / 1e6, 1) == 30.3
    assert round(float(order) / 1e6, 1) == 49.5
    assert round(float(sum(rest)) / 1e3) == 18
    assert float(printed - counted - order - sum(rest)) == pytest.approx(0, abs=1e-6)
