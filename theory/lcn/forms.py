"""Binary forms over Q, exactly: polynomials that remember their size, so that infinity is a root like any other.

A form of degree d is its d + 1 coefficients from low to high degree; vanishing leading ones are roots at infinity.
Roots count on the projective line, and up to a positive factor a form is a primitive vector of integers.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

from sympy import ZZ
from sympy.polys.euclidtools import dup_gcd

from theory.lcn.composition import Coefficients

Form = tuple[int, ...]


def rationals(coefficients: Coefficients) -> tuple[Fraction, ...]:
    """The exact rationals that the numbers are: a float is a dyadic fraction, 0.1 is not 1/10.

    Raises: ValueError for an entry that is not a finite real number, or without entries.
    """
    if len(coefficients) == 0:
        raise ValueError("coefficients must not be empty")
    return tuple(_rational(x) for x in coefficients)


def _rational(x: Any) -> Fraction:
    if isinstance(x, Rational):
        return Fraction(int(x.numerator), int(x.denominator))
    if isinstance(x, Real) and math.isfinite(x):
        return Fraction(float(x))  # a float narrower than 64 bits fits
    raise ValueError(f"coefficients must be finite integers, fractions or floats, got {x!r}")


def integer_form(coefficients: Coefficients) -> Form:
    """The primitive integer form that is a positive multiple of the coefficients; zeros for zeros."""
    exact = rationals(coefficients)
    denominator = math.lcm(*(x.denominator for x in exact))
    return _primitive([int(x * denominator) for x in exact])


def _primitive(form: Sequence[int]) -> Form:
    content = math.gcd(*form) or 1
    return tuple(c // content for c in form)


def form_gcd(forms: Iterable[Form]) -> Form:
    """The greatest common divisor, primitive and up to sign; zero forms do not count.

    Raises: ValueError if all of them are zero.
    """
    nonzero = [form for form in forms if any(form)]
    if not nonzero:
        raise ValueError("zero forms have no greatest common divisor")
    finite = functools.reduce(lambda f, g: dup_gcd(f, g, ZZ), map(dense, nonzero))
    return from_dense(finite, min(map(infinite_multiplicity, nonzero)))


def residue_gcd(form: Form, step: int) -> Form:
    """The largest H such that H(x^step) divides the form P = Σ_{a<step} x^a P_a(x^step): the gcd of the residues P_a.

    Proof. A multiple H(x^s) R has the residues H R_a, with degrees ⌊(deg P − a)/s⌋ = deg H + ⌊(deg R − a)/s⌋ as forms,
    so roots at infinity go along; a residue without coefficients (deg P < a) says nothing. Conversely a common divisor
    of all residues factors out. Raises: ValueError for the zero form.

    >>> residue_gcd((1, 2, 1, 2), 2)  # (1 + x²)(1 + 2x)
    (1, 1)
    """
    return form_gcd(form[a::step] for a in range(min(step, len(form))))


def infinite_multiplicity(form: Form) -> int:
    """The number of vanishing leading coefficients of a form that is not zero."""
    return next(i for i, c in enumerate(reversed(form)) if c)


def dense(form: Form) -> list:
    """The form without its roots at infinity as sympy's dense polynomial: from high to low degree, over ZZ."""
    return [ZZ(c) for c in reversed(form[: len(form) - infinite_multiplicity(form)])]


def from_dense(polynomial: Sequence, at_infinity: int = 0) -> Form:
    """The inverse of `dense`, made primitive."""
    return _primitive([int(c) for c in reversed(polynomial)]) + (0,) * at_infinity
