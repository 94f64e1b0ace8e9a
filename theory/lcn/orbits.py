"""The orbits {x : x^T = y} of roots that a polynomial has for filters with step T: real y, and pairs of complex ones.

P has the orbit of y as often as y is a root of the largest H with H(x^T) | P. Exact roots come from factorization over
Q and are algebraic numbers of sympy; numeric ones come from clusters of computed roots.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from sympy import ZZ
from sympy.polys.factortools import dup_factor_list

from theory.lcn.composition import Coefficients
from theory.lcn.forms import Form, dense, from_dense, infinite_multiplicity, rationals, residue_gcd
from theory.lcn.numeric import chordal_distance, orbit_roots, root_clusters

_DIGITS = 50  # of roots that are compared; only to tell the roots of one irreducible polynomial from each other
_POINTS = {(0, 1), (1, 0)}  # factors of the orbits of one point: 0 and infinity
_X = sympy.Symbol("x")


@dataclass(frozen=True)
class Orbit:
    """One orbit, or a pair of conjugate ones.

    Attributes:
        step: T.
        fits: how often P has it.
        factor: the real form with root y, of degree 1 or 2 and with highest non-zero coefficient 1.
        root: y, the upper one of a pair.
        minimal: y's irreducible polynomial, if y is exact and finite.
    """

    step: int
    fits: int
    factor: tuple[Any, ...]
    root: Any
    minimal: Form = ()


@dataclass(frozen=True)
class Orbits:
    """All orbits of one polynomial for some steps.

    Attributes:
        found: by ascending step.
        takes: [n, n], how often orbit i contains orbit j: once at most, but an orbit at 0 or infinity contains those of
            smaller steps as often as the step has grown; and itself once.
    """

    found: tuple[Orbit, ...]
    takes: np.ndarray


def exact_orbits(form: Form, steps: Sequence[int]) -> Orbits:
    """The orbits of a form that is not zero, for ascending steps. Roots are exact algebraic numbers."""
    found = tuple(orbit for step in steps for orbit in _at_step(residue_gcd(form, step), step))
    return Orbits(found, _takes(found, _contains_exactly))


def numeric_orbits(coefficients: Coefficients, steps: Sequence[int], tolerance: float) -> Orbits:
    """The orbits from computed roots; `tolerance` as in `root_clusters`."""
    clusters = root_clusters(coefficients, tolerance)
    found = tuple(
        Orbit(step, fits, _float_factor(y), y)
        for step in steps
        for y, fits in orbit_roots(clusters, step, tolerance)
        if y.imag >= 0
    )

    def contains(outer: Orbit, inner: Orbit) -> bool:
        n = outer.step // inner.step
        power = inner.root**n
        return min(chordal_distance(power, y) for y in (outer.root, outer.root.conjugate())) < n * tolerance

    return Orbits(found, _takes(found, contains))


def _takes(found: Sequence[Orbit], contains: Callable[[Orbit, Orbit], bool]) -> np.ndarray:
    matrix = np.eye(len(found), dtype=int)
    for (i, outer), (j, inner) in itertools.product(enumerate(found), repeat=2):
        if outer.step <= inner.step:
            continue
        if _POINTS & {outer.factor, inner.factor}:
            matrix[i, j] = outer.step // inner.step if outer.factor == inner.factor else 0
        else:
            matrix[i, j] = contains(outer, inner)
    return matrix


def _at_step(h: Form, step: int) -> Iterator[Orbit]:
    if at_infinity := infinite_multiplicity(h):
        yield Orbit(step, at_infinity, (1, 0), sympy.oo)
    for irreducible, fits in dup_factor_list(dense(h), ZZ)[1]:
        minimal = from_dense(irreducible)
        for factor, root in _real_factors(minimal):
            yield Orbit(step, fits, factor, root, minimal)


def _real_factors(minimal: Form) -> list[tuple[tuple[Any, ...], Any]]:
    """The real factors of degree 1 and 2 of an irreducible polynomial, each with one of its roots."""
    exact = rationals(minimal)
    monic = tuple(c / exact[-1] for c in exact)
    roots = _roots(minimal)
    if len(minimal) == 2:
        return [(monic, roots[0])]
    real = [y for y in roots if y.is_real]
    upper = [y for y in roots if not y.is_real and _digits(y).as_real_imag()[1] > 0]
    if len(minimal) == 3 and upper:
        return [(monic, upper[0])]
    return [((-y, 1), y) for y in real] + [((abs(y) ** 2, -2 * _real_part(y), 1), y) for y in upper]


def _real_part(y: Any) -> Any:
    return sympy.re(y)


def _contains_exactly(outer: Orbit, inner: Orbit) -> bool:
    """y^n is z or its conjugate, for n = outer.step / inner.step and the roots y and z.

    Divisibility tells whether y^n is a root of z's irreducible polynomial at all; if so, it is the nearest one.
    """
    n = outer.step // inner.step
    spread = [c for coefficient in outer.minimal for c in (coefficient, *[0] * (n - 1))]
    remainder = sympy.Poly(spread[::-1], _X).rem(sympy.Poly(inner.minimal[::-1], _X))
    if not remainder.is_zero:
        return False
    power = _digits(_digits(inner.root) ** n)  # unevaluated powers of complex numbers do not compare
    roots = _roots(outer.minimal)
    nearest = [min(roots, key=lambda z: _digits(abs(w - _digits(z)))) for w in (power, sympy.conjugate(power))]
    return outer.root in nearest


@functools.lru_cache(maxsize=1024)
def _roots(minimal: Form) -> tuple[Any, ...]:
    return tuple(sympy.Poly(minimal[::-1], _X).all_roots())


@functools.lru_cache(maxsize=1024)
def _digits(number: Any) -> Any:
    return number.evalf(_DIGITS)


def _float_factor(y: complex) -> tuple[float, ...]:
    if np.isinf(y) or y == 0:
        return (1, 0) if y else (0, 1)
    return (-y.real, 1.0) if y.imag == 0 else (abs(y) ** 2, -2 * y.real, 1.0)
