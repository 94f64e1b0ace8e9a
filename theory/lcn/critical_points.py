"""All real critical points of the square loss (P − u)ᵀ G (P − u) of a linear convolutional network (no factor ½).

u is the target, P = compose(filters, strides), G the Gram matrix of the data: the identity for white data. A critical
point is a class of filters up to scalings that leave P alone, with P ≠ 0, where the gradient in the filters vanishes;
two factorizations of one P count twice, as in the generic ED degree. (P = 0 is always critical too for L ≥ 2.)

Two roads, with their certificates:
"exact"     two filters, one of them 1 + tx^S of size 2. The other, h, enters linearly, P = A(t) h; least squares leaves
            f(t) = bᵀM⁻¹b = N(t)/D(t) with M = AᵀGA, b = AᵀGu, D = det M > 0 and loss ‖u‖² − f. The real critical points
            are the real roots of N'D − ND' with N ≠ 0, counted and isolated over Q: none is missed, none invented.
"interval"  the others. All complex critical points by homotopy, at most as many as the generic ED degree; those near
            the reals are proved to exist, once in their box, by Krawczyk's test in exact arithmetic. That the list is
            complete is numerical evidence: every path was followed to its end. Where a path ends in a singular point
            (special targets) some may be missing, and every certificate reads "incomplete".
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
import sympy
from sympy.polys.matrices import DomainMatrix

from theory.lcn.composition import compose, composed_size, layer_steps
from theory.lcn.ed_degree import complex_critical_points, derivatives, scaling_directions

_DIGITS = 40  # of the isolated roots, and of refined points
_SAME = Fraction(1, 10**25)  # relative; between the error 1e-40 of a point and the distance of unequal ones
_ROOTS_MEET = 1e-6  # chordal distance; a root double within one filter is known to 1e-8 only
_NEAR_REAL = 1e-6  # of an endpoint with entries at most 1; only proposes, Krawczyk's test decides
_BOX = Fraction(1, 10**12)
_FLAT = 1e-9  # relative; a Hessian eigenvalue below it counts as zero

Vector = Sequence[Real] | np.ndarray
Matrix = Sequence[Sequence[Real]] | np.ndarray
Filters = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class CriticalPoint:
    """One real critical point with P ≠ 0.

    Attributes:
        coefficients: P, from low to high degree.
        loss: (P − u)ᵀ G (P − u).
        filters: a balanced representative: filters of equal norm, whose composition is P.
        kind: "global": P = u. "pure": not u, but critical already for the loss on the variety of all P (its tangent
            space where the parametrization with adjacent stride-1 layers merged is regular). "spurious": critical
            through the parametrization only. At stride 1 the variety is everything, so nothing is pure.
        stability: "minimum", "saddle" or "degenerate" (a positive semi-definite Hessian with a kernel beyond the
            scalings). A maximum is impossible: along the scale of P the loss is convex.
        optimal: no function of the network has a smaller loss.
        root_pattern: multiplicities of the real roots (with infinity) and of the pairs of complex ones, descending.
        certificate: "exact", "interval" or "incomplete", see the module.
    Source: Kohn, Merkh, Montúfar, Trager, arXiv 2108.01538; pure and spurious: Trager, Kohn, Bruna, arXiv 1910.01671.
    """

    coefficients: tuple[float, ...]
    loss: float
    filters: tuple[tuple[float, ...], ...]
    kind: str
    stability: str
    optimal: bool
    root_pattern: tuple[tuple[int, ...], tuple[int, ...]]
    certificate: str


def critical_points(
    target: Vector,
    filter_sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    *,
    gram: Matrix | None = None,
) -> tuple[CriticalPoint, ...]:
    """All real critical points with P ≠ 0, by ascending loss.

    Args:
        target: u, [k] with k = composed_size(filter_sizes, strides); floats are taken as the rationals they are.
        filter_sizes: k_1 … k_L.
        strides: as in `compose`; all 1 if omitted.
        gram: G, [k, k], symmetric and positive definite; the identity if omitted.
    Raises: ValueError for sizes, target or Gram matrix out of range, if critical points are not isolated, or if the
        generic ED degree exceeds 1000.
    Source: theory of arXiv 2108.01538, section 5; 2304.05752, section 4.

    >>> [(p.coefficients, round(p.loss, 12)) for p in critical_points((1, 0, 1), (2, 2))][:2]
    [((0.0, 0.0, 1.0), 1.0), ((1.0, 0.0, 0.0), 1.0)]
    """
    problem = _Problem.of(target, filter_sizes, strides, gram)
    if sum(k > 1 for k in problem.sizes) < 2:
        found, certificate = _single_filter(problem), "exact"
    elif (curve := _curve(problem)) is not None:
        found, certificate = list(_isolated_filters(problem, curve)), "exact"
    else:
        found, certificate = _followed_filters(problem)
    points = [_described(problem, filters, certificate) for filters in found]
    least = min((p.loss for p in points), default=0.0)
    slack = 1e-12 * float(problem.norm(problem.target))
    points = [replace(p, optimal=p.loss <= least + slack) for p in points]
    return tuple(sorted(points, key=lambda p: (round(p.loss, 12), p.coefficients)))


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
    problem = _Problem.of(target, filter_sizes, strides, gram)
    curve = _curve(problem)
    if curve is None:
        raise ValueError(f"filter_sizes must be two with one equal to 2 for an exact count, got {tuple(filter_sizes)}")
    eliminant, at_infinity = _eliminant(problem, curve)
    return int(eliminant.count_roots()) + at_infinity


def discriminant_picture(
    origin: Vector,
    directions: Matrix,
    values: Vector,
    *,
    filter_sizes: Sequence[int] = (2, 2),
    gram: Matrix | None = None,
) -> np.ndarray:
    """[n, n] of ints: the number of real critical points for the targets origin + a·directions[0] + b·directions[1].

    a (rows) and b (columns) run through the n values. −1 marks targets whose critical points are not isolated.
    """
    base, (first, second), steps = _rationals(origin), _rationals(directions), _rationals(values)
    picture = np.empty((len(steps), len(steps)), dtype=int)
    for (i, a), (j, b) in itertools.product(enumerate(steps), repeat=2):
        try:
            picture[i, j] = real_count(base + a * first + b * second, filter_sizes, gram=gram)
        except NotIsolated:
            picture[i, j] = -1
    return picture


class NotIsolated(ValueError):
    """The critical points of this target form a curve, so that there is no list of them."""


@dataclass(frozen=True)
class _Problem:
    target: np.ndarray  # [k] of Fractions
    sizes: tuple[int, ...]
    steps: tuple[int, ...]  # S_i = s_1 … s_{i−1}: filter i is a polynomial in x^{S_i}
    gram: np.ndarray  # [k, k] of Fractions

    @classmethod
    def of(cls, target: Vector, sizes: Sequence[int], strides: Sequence[int] | None, gram: Matrix | None) -> "_Problem":
        size = composed_size(sizes, strides)
        u = _rationals(target)
        if u.shape != (size,):
            raise ValueError(f"target must have the {size} coefficients of a composition, got shape {u.shape}")
        g = _rationals(np.eye(size, dtype=int) if gram is None else gram)
        if g.shape != (size, size) or (g != g.T).any() or not _positive_definite(g):
            raise ValueError(f"gram must be a symmetric positive definite {size} × {size} matrix")
        return cls(u, tuple(int(k) for k in sizes), layer_steps(sizes, strides), g)

    def composed(self, filters: Filters) -> np.ndarray:
        """P."""
        product = np.array([Fraction(1)], dtype=object)
        for part, step in zip(filters, self.steps, strict=True):
            product = np.convolve(product, _stretched(part, step))
        return product

    def norm(self, p: np.ndarray) -> Fraction:
        """pᵀGp."""
        return p @ self.gram @ p  # pyrefly: ignore[bad-return]  # an entry of an object array

    def nearest(self, family: np.ndarray) -> np.ndarray:
        """The h that minimizes ‖Ah − u‖², exactly, for A = family of full column rank."""
        rows = np.column_stack([family.T @ self.gram @ family, family.T @ self.gram @ self.target])
        for i in range(len(rows)):
            rows[i] = rows[i] / rows[i, i]
            for j in set(range(len(rows))) - {i}:
                rows[j] = rows[j] - rows[j, i] * rows[i]
        return rows[:, -1]

    def on_tensors(self) -> tuple[np.ndarray, np.ndarray]:
        """(CᵀGC, CᵀGu) where P = C (w_1 ⊗ … ⊗ w_L)."""
        degrees = np.tensordot(self.steps, np.indices(self.sizes), axes=1).ravel()
        return self.gram[np.ix_(degrees, degrees)], (self.gram @ self.target)[degrees]


def _rationals(values: Vector | Matrix) -> np.ndarray:
    return np.vectorize(_rational, otypes=[object])(np.array(values, dtype=object))


def _rational(x: Real) -> Fraction:
    if isinstance(x, Integral):
        return Fraction(int(x))
    if isinstance(x, float) and not math.isfinite(x):
        raise ValueError(f"coefficients must be finite, got {x}")
    return Fraction(x)  # pyrefly: ignore[no-matching-overload]


def _positive_definite(g: np.ndarray) -> bool:
    """Exact, by the pivots of Gauss's elimination."""
    g = g.copy()
    for i in range(len(g)):
        if g[i, i] <= 0:
            return False
        g[i + 1 :] -= np.outer(g[i + 1 :, i] / g[i, i], g[i])
    return True


# The exact road


@dataclass(frozen=True)
class _Curve:
    """P = (constant + t slope) h: filter `short` is 1 + t x^S, or x^S at t = ∞, and h is filter `long`."""

    constant: np.ndarray
    slope: np.ndarray
    short: int
    long: int


def _curve(problem: _Problem) -> _Curve | None:
    active = [i for i, k in enumerate(problem.sizes) if k > 1]
    short = next((i for i in active if problem.sizes[i] == 2), None)
    if len(active) != 2 or short is None:
        return None
    (long,) = set(active) - {short}
    size, columns, step = len(problem.target), problem.sizes[long], problem.steps[long]
    constant, slope = (_monomials(size, columns, step, offset) for offset in (0, problem.steps[short]))
    return _Curve(constant, slope, short, long)


def _monomials(size: int, columns: int, step: int, offset: int) -> np.ndarray:
    """[size, columns]: the coefficients of x^{offset + step·b} for b < columns."""
    matrix = np.zeros((size, columns), dtype=object)  # Python's integers: numpy's overflow inside Fractions
    matrix[offset + step * np.arange(columns), np.arange(columns)] = 1
    return matrix


def _eliminant(problem: _Problem, curve: _Curve) -> tuple[sympy.Poly, bool]:
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


def _isolated_filters(problem: _Problem, curve: _Curve) -> Iterator[Filters]:
    """The critical filters to 40 digits."""
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


def _single_filter(problem: _Problem) -> list[Filters]:
    """The only critical point of a network whose other filters are scalars."""
    last = int(np.argmax(problem.sizes))
    h = problem.nearest(_monomials(len(problem.target), problem.sizes[last], problem.steps[last], 0))
    parts = [tuple(h) if i == last else (Fraction(1),) for i in range(len(problem.sizes))]
    return [tuple(parts)] if h.any() else []


# The numerical road


def _followed_filters(problem: _Problem) -> tuple[list[Filters], str]:
    """Real ones among all complex critical points, each proved to exist; the certificate that they are all."""
    form, linear = problem.on_tensors()
    if not linear.any():
        return [], "exact"  # the target is orthogonal to every P
    everything = complex_critical_points(problem.sizes, form.astype(float), linear.astype(float))
    complete = everything.complete
    found: list[np.ndarray] = []
    for w in everything.filters:
        scaled, free = _real_chart(np.split(w, np.cumsum(problem.sizes)[:-1]))
        if np.abs(scaled.imag).max() > _NEAR_REAL * np.abs(scaled).max():
            continue
        point = _proved(scaled.real, free, problem.sizes, form, linear)
        if point is not None and all(np.abs(point - other).max() > 2 * _BOX for other in found):
            found.append(point)
        else:
            complete = False
    filters = [tuple(tuple(part) for part in np.split(w, np.cumsum(problem.sizes)[:-1])) for w in found]
    return filters, "interval" if complete else "incomplete"


def _real_chart(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Filters whose largest entry is 1, all but the last, which takes the scales; and a mask of the other entries."""
    scaled, free, scale = [], [], 1.0
    for part in parts[:-1]:
        pivot = int(np.argmax(np.abs(part)))
        scale = scale * part[pivot]
        scaled.append(part / part[pivot])
        free.append(np.arange(len(part)) != pivot)
    return np.concatenate([*scaled, scale * parts[-1]]), np.concatenate([*free, np.ones(len(parts[-1]), dtype=bool)])


def _proved(
    w: np.ndarray, free: np.ndarray, sizes: tuple[int, ...], form: np.ndarray, linear: np.ndarray
) -> np.ndarray | None:
    """The critical point near w to 40 digits, or None if Krawczyk's test does not prove that there is exactly one.

    With Y ≈ F'(w)⁻¹ and |F'(z) − F'(w)| ≤ B for |z − w| ≤ r (from the polynomial with absolute coefficients, at |w|),
    |Y F(w)| + (|1 − Y F'(w)| + |Y| B) r < r puts exactly one zero of F into the box of radius r.
    """
    square = np.ix_(free, free)
    _, hessian = derivatives(w, sizes, form.astype(float), linear.astype(float))
    try:
        inverse = _rationals(np.linalg.inv(hessian[square]))
    except np.linalg.LinAlgError:
        return None
    point = _rationals(w)
    for _ in range(4):  # each gains about ten digits
        gradient, _ = derivatives(point, sizes, form, linear)
        step = inverse @ gradient[free]
        if np.abs(step).max() > 1:
            return None
        point[free] = _rounded(point[free] - step)
    gradient, exact = derivatives(point, sizes, form, linear)
    low, high = (
        derivatives(np.abs(point) + margin * free, sizes, np.abs(form), -np.abs(linear))[1][square]
        for margin in (Fraction(0), _BOX)
    )
    identity = np.eye(free.sum(), dtype=int)
    spread = (np.abs(identity - inverse @ exact[square]) + np.abs(inverse) @ (high - low)).sum(axis=1)
    return point if (np.abs(inverse @ gradient[free]) + spread * _BOX < _BOX).all() else None


def _rounded(values: np.ndarray) -> np.ndarray:
    unit = 10 ** (_DIGITS + 10)
    return np.array([Fraction(round(x * unit), unit) for x in values], dtype=object)


# What kind of point it is


def _described(problem: _Problem, filters: Filters, certificate: str) -> CriticalPoint:
    p = problem.composed(filters)
    balanced = _balanced(filters)
    kind = _kind(problem, filters, p)
    return CriticalPoint(
        coefficients=tuple(float(x) for x in p),
        loss=float(problem.norm(p - problem.target)),
        filters=balanced,
        kind=kind,
        stability="minimum" if kind == "global" else _stability(problem, balanced),
        optimal=False,
        root_pattern=_pattern(balanced, problem.steps),
        certificate=certificate,
    )


def _balanced(filters: Filters) -> tuple[tuple[float, ...], ...]:
    norms = [math.sqrt(sum(x * x for x in part)) for part in filters]
    mean = math.exp(sum(map(math.log, norms)) / len(norms))
    return tuple(tuple(float(x) * mean / norm for x in part) for part, norm in zip(filters, norms, strict=True))


def _kind(problem: _Problem, filters: Filters, p: np.ndarray) -> str:
    residual = problem.gram @ (p - problem.target)
    size = np.abs(problem.gram @ problem.target).max()
    if np.abs(residual).max() <= _SAME * size:
        return "global"
    merged: dict[int, tuple[Fraction, ...]] = {}
    for part, step in zip(filters, problem.steps, strict=True):
        merged[step] = compose((merged[step], part)) if step in merged else part
    tangent = _tangent(merged, len(p))
    dimension = sum(map(len, merged.values())) - (len(merged) - 1)
    values = np.linalg.svd(tangent.astype(float), compute_uv=False)
    regular = (values > _FLAT * values[0]).sum() == dimension
    slope = np.abs(tangent.T @ residual).max() <= _SAME * size * np.abs(tangent).max()
    return "pure" if regular and slope else "spurious"


def _tangent(merged: dict[int, tuple[Fraction, ...]], size: int) -> np.ndarray:
    """[k, Σ k̃_i]: the derivatives of P in the coefficients of p_i(x^{S_i}), for distinct steps S_i."""
    columns = []
    for step, part in merged.items():
        others = np.array([Fraction(1)], dtype=object)
        for other, q in merged.items():
            if other != step:
                others = np.convolve(others, _stretched(q, other))
        for a in range(len(part)):
            column = np.zeros(size, dtype=object)
            column[a * step : a * step + len(others)] = others
            columns.append(column)
    return np.stack(columns, axis=1)


def _stretched(part: Sequence | np.ndarray, step: int) -> np.ndarray:
    """The coefficients of p(x^step)."""
    spread = np.zeros(1 + (len(part) - 1) * step, dtype=np.asarray(part).dtype)
    spread[::step] = part
    return spread


def _stability(problem: _Problem, filters: Sequence[Sequence[float]]) -> str:
    w = np.concatenate(filters)
    form, linear = problem.on_tensors()
    hessian = derivatives(w, problem.sizes, form.astype(float), linear.astype(float))[1]
    across, _ = np.linalg.qr(scaling_directions(w, problem.sizes), mode="complete")
    across = across[:, len(filters) - 1 :]
    values = np.linalg.eigvalsh(across.T @ hessian @ across)
    flat = _FLAT * np.abs(values).max()
    if values[0] < -flat:
        return "saddle"
    return "minimum" if values[0] > flat else "degenerate"


def _pattern(filters: Sequence[Sequence[float]], steps: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Roots of each filter, then those that meet counted together: a root repeated across filters keeps its digits."""
    found = [point for part, step in zip(filters, steps, strict=True) for point in _roots(_stretched(part, step))]
    groups: list[list[np.ndarray]] = []
    for point in found:
        near = (group for group in groups if _chordal(group[0], point) < _ROOTS_MEET)
        if (group := next(near, None)) is not None:
            group.append(point)
        else:
            groups.append([point])
    real = [len(group) for group in groups if _chordal(group[0], group[0].conj()) < _ROOTS_MEET]
    upper = [
        len(group)
        for group in groups
        if _chordal(group[0], group[0].conj()) >= _ROOTS_MEET and (group[0][0] * group[0][1].conj()).imag > 0
    ]
    return tuple(sorted(real, reverse=True)), tuple(sorted(upper, reverse=True))


def _roots(part: np.ndarray) -> Iterator[np.ndarray]:
    """The roots as unit vectors (z, 1) or (1, 0) of the projective line."""
    part = np.where(np.abs(part) > 1e-13 * np.abs(part).max(), part, 0.0)
    leading = np.flatnonzero(part)[-1]
    for root in np.roots(part[: leading + 1][::-1]):
        yield np.array([root, 1.0]) / np.hypot(abs(root), 1)
    for _ in range(len(part) - 1 - leading):
        yield np.array([1.0 + 0j, 0.0])


def _chordal(a: np.ndarray, b: np.ndarray) -> float:
    return float(abs(a[0] * b[1] - a[1] * b[0]))
