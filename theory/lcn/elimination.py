"""Two filters, one of them of size 2: the real critical points as the real roots of one polynomial, exactly.

The short filter is 1 + t x^S; the other, h, enters linearly, P = A(t) h. Least squares leaves f(t) = bᵀM⁻¹b = N(t)/D(t)
with M = AᵀGA, b = AᵀGu, D = det M > 0, and the loss uᵀGu − f. The critical points with P ≠ 0 are the roots of
N'D − ND' where N ≠ 0, and t = ∞ if the same holds there; they are counted and isolated over Q by Sturm's chain and
bisection: none is missed, none invented.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy
from sympy.polys.matrices import DomainMatrix

from theory.lcn.square_loss import Filters, Matrix, NotIsolated, SquareLoss, Vector, monomials

_DIGITS = 40  # of the isolated roots


@dataclass(frozen=True)
class _Curve:
    """P = (constant + t slope) h: filter `short` is 1 + t x^S, or x^S at t = ∞, and h is filter `long`."""

    constant: np.ndarray
    slope: np.ndarray
    short: int
    long: int


def real_count(
    target: Vector,
    filter_sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    *,
    gram: Matrix | None = None,
) -> int:
    """The exact number of real critical points with P ≠ 0, for two filters one of which has size 2 (any strides).

    Sturm's count of the real roots of the eliminant, infinity included. Raises: ValueError, also for other sizes.
    """
    problem = SquareLoss.of(target, filter_sizes, strides, gram)
    curve = _curve(problem)
    if curve is None:
        raise ValueError(f"filter_sizes must be two with one equal to 2 for an exact count, got {tuple(filter_sizes)}")
    eliminant, at_infinity = _eliminant(problem, curve)
    return int(eliminant.count_roots()) + at_infinity


def isolated_filters(problem: SquareLoss) -> list[Filters] | None:
    """The critical filters to 40 digits; None unless there are two filters, one of them of size 2, besides scalars.

    Raises: NotIsolated.
    """
    curve = _curve(problem)
    return None if curve is None else list(_isolated(problem, curve))


def single_filter(problem: SquareLoss) -> list[Filters]:
    """The only critical point of a network whose other filters are scalars."""
    last = int(np.argmax(problem.sizes))
    h = problem.nearest(monomials(len(problem.target), problem.sizes[last], problem.steps[last], 0))
    parts = [tuple(h) if i == last else (Fraction(1),) for i in range(len(problem.sizes))]
    return [tuple(parts)] if h.any() else []


def _isolated(problem: SquareLoss, curve: _Curve) -> Iterator[Filters]:
    eliminant, at_infinity = _eliminant(problem, curve)
    width = sympy.Rational(1, 10**_DIGITS)
    middles = [(a + b) / 2 for (a, b), _ in eliminant.intervals(eps=width)]
    shorts = [(Fraction(1), Fraction(t.p, t.q)) for t in middles]
    if at_infinity:
        shorts.append((Fraction(0), Fraction(1)))
    for pair in shorts:
        h = problem.nearest(pair[0] * curve.constant + pair[1] * curve.slope)
        parts = {curve.short: pair, curve.long: tuple(h)}
        yield tuple(parts.get(i, (Fraction(1),)) for i in range(len(problem.sizes)))


def _curve(problem: SquareLoss) -> _Curve | None:
    active = [i for i, k in enumerate(problem.sizes) if k > 1]
    short = next((i for i in active if problem.sizes[i] == 2), None)
    if len(active) != 2 or short is None:
        return None
    (long,) = set(active) - {short}
    size, columns, step = len(problem.target), problem.sizes[long], problem.steps[long]
    constant, slope = (monomials(size, columns, step, offset) for offset in (0, problem.steps[short]))
    return _Curve(constant, slope, short, long)


def _eliminant(problem: SquareLoss, curve: _Curve) -> tuple[sympy.Poly, bool]:
    """The squarefree polynomial whose real roots are the critical t ≠ ∞, and whether ∞ is critical."""
    t = sympy.Symbol("t")
    ring = sympy.QQ[t]
    a, b, g = curve.constant, curve.slope, problem.gram
    size, gu = a.shape[1], g @ problem.target
    bordered = np.empty((size + 1, size + 1), dtype=object)  # [[M, b], [bᵀ, 0]], of determinant −bᵀ adj(M) b = −N
    bordered[:-1, :-1] = _polynomials(ring, a.T @ g @ a, a.T @ g @ b + b.T @ g @ a, b.T @ g @ b)
    bordered[:-1, -1] = bordered[-1, :-1] = _polynomials(ring, a.T @ gu, b.T @ gu)
    bordered[-1, -1] = ring.zero
    denominator = _determinant(ring, bordered[:-1, :-1], t)
    numerator = -_determinant(ring, bordered, t)
    if numerator.is_zero:
        return sympy.Poly(1, t, domain="QQ"), False
    slope = [p.diff(t).as_poly(t, domain="QQ") for p in (numerator, denominator)]
    eliminant = slope[0] * denominator - numerator * slope[1]
    if eliminant.is_zero:
        raise NotIsolated(f"target {[str(x) for x in problem.target]} has a curve of critical points; perturb it")
    eliminant = eliminant.quo(eliminant.gcd(eliminant.diff()))
    top = 2 * size  # the degree of D: its leading coefficient det(slopeᵀ G slope) is positive
    n, d = numerator.nth, denominator.nth
    at_infinity = n(top) != 0 and n(top - 1) * d(top) == n(top) * d(top - 1)
    return eliminant.quo(eliminant.gcd(numerator)), bool(at_infinity)


def _polynomials(ring, *coefficients: np.ndarray) -> np.ndarray:
    """Σ tⁱ coefficients[i], entry by entry."""
    t = ring.gens[0]
    found = np.empty(coefficients[0].shape, dtype=object)
    for index in np.ndindex(found.shape):
        terms = [sympy.QQ(c[index].numerator, c[index].denominator) * t**i for i, c in enumerate(coefficients)]
        found[index] = sum(terms, ring.zero)
    return found


def _determinant(ring, matrix: np.ndarray, t: sympy.Symbol) -> sympy.Poly:
    found = DomainMatrix(matrix.tolist(), matrix.shape, ring).det()
    return sympy.Poly(ring.to_sympy(found), t, domain="QQ")
