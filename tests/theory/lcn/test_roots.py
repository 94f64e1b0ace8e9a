"""Root patterns against forms with known roots, under substitutions and products; two root counters and sympy's."""

import itertools
from fractions import Fraction

import pytest
import sympy
from _filters import Roots, product, rationals, rooted
from hypothesis import assume, example, given
from hypothesis import strategies as st

from theory.lcn.forms import form_gcd, integer_form
from theory.lcn.numeric import root_pattern_numeric
from theory.lcn.real_roots import by_sturm, count_real_roots, positive_by_bisection
from theory.lcn.roots import root_pattern

X = sympy.Symbol("x")
polynomials = st.lists(rationals, min_size=1, max_size=9).filter(any)


@given(rooted())
def test_known_roots_are_found(form: Roots) -> None:
    assert root_pattern(form.coefficients) == form.pattern


@given(polynomials, st.tuples(*[rationals] * 4))
@example([0, 0, 1], (0, 1, 1, 0))  # x² → 1/x²: a double root moves from 0 to infinity
def test_projective_substitutions_change_nothing(form: list, substitution: tuple) -> None:
    """P((ax + b)/(cx + d)) (cx + d)^deg, for ad ≠ bc; also a permutation of 0, roots and infinity."""
    a, b, c, d = substitution
    assume(a * d != b * c)
    degree = len(form) - 1
    terms = [product([[w], *[(b, a)] * i, *[(d, c)] * (degree - i)]) for i, w in enumerate(form)]
    moved = [sum(column) for column in zip(*terms, strict=True)]
    assert root_pattern(moved) == root_pattern(form)


@given(polynomials, polynomials)
def test_patterns_of_coprime_forms_join(first: list, second: list) -> None:
    assume(len(form_gcd([integer_form(first), integer_form(second)])) == 1)
    joined = [sorted(a + b, reverse=True) for a, b in zip(root_pattern(first), root_pattern(second), strict=True)]
    assert root_pattern(product([first, second])) == tuple(map(tuple, joined))


@given(polynomials, st.integers(2, 3))
def test_powers_multiply_multiplicities(form: list, power: int) -> None:
    expected = tuple(tuple(power * m for m in part) for part in root_pattern(form))
    assert root_pattern(product([form] * power)) == expected


@given(rooted(most=4), rooted(most=4))
def test_products_add_the_multiplicities_of_each_root(first: Roots, second: Roots) -> None:
    sums = [
        {f: a.get(f, 0) + b.get(f, 0) for f in a | b}
        for a, b in ((first.real, second.real), (first.pairs, second.pairs))
    ]
    assert root_pattern(product([first.coefficients, second.coefficients])) == Roots(*sums).pattern


@given(polynomials)
def test_all_roots_are_there(form: list) -> None:
    real, pairs = root_pattern(form)
    assert sum(real) + 2 * sum(pairs) == len(form) - 1


@given(st.lists(st.integers(-30, 30), min_size=2, max_size=9))
def test_three_counters_agree(form: list) -> None:
    own = sympy.Poly(form[::-1], X)
    assume(form[0] and form[-1] and own.is_sqf)
    assert by_sturm(form) == count_real_roots(form)
    assert sum(by_sturm(form)) == own.count_roots()
    assert positive_by_bisection(form) in (None, own.count_roots(0, None))


@pytest.mark.parametrize("bits", [30, 200])
def test_roots_closer_than_bisection_reaches_are_counted(bits: int) -> None:
    """Mignotte's polynomial x⁹ − 2(2^b x − 1)²: two roots at a distance of about 2^{−5.5 b}."""
    form = [-2, 4 << bits, -2 << 2 * bits, 0, 0, 0, 0, 0, 0, 1]
    assert count_real_roots(form) == (3, 0)
    assert (positive_by_bisection(form) is None) == (bits == 200)


@given(rooted(most=6))
def test_the_numeric_twin_agrees_on_roots_far_apart(form: Roots) -> None:
    assume(max(itertools.chain(*form.pattern), default=0) <= 3)
    floats = [float(c) for c in form.coefficients]
    assert root_pattern_numeric(floats) == root_pattern(form.coefficients)


def test_the_numeric_twin_forgives_what_the_exact_one_does_not() -> None:
    rounded = [0.01, 0.2, 1.0]  # (x + 0.1)², but for rounding: the exact discriminant is not zero
    assert root_pattern(rounded) != ((2,), ())
    assert root_pattern_numeric(rounded) == ((2,), ())
    assert root_pattern([Fraction(1, 100), Fraction(1, 5), 1]) == ((2,), ())


@pytest.mark.parametrize("pattern", [root_pattern, root_pattern_numeric])
@pytest.mark.parametrize("bad", [(0, 0), (1.0, float("nan")), (float("inf"),)])
def test_bad_coefficients_are_named(pattern, bad: tuple) -> None:
    with pytest.raises(ValueError, match=r"zero polynomial has no root pattern|coefficients must be finite"):
        pattern(bad)
