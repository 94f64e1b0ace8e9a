"""All real critical points of the square loss (P − u)ᵀ G (P − u) of a linear convolutional network (no factor ½).

u is the target, P = compose(filters, strides), G the Gram matrix of the data: the identity for white data. A critical
point is a class of filters up to scalings that leave P alone, with P ≠ 0, where the gradient in the filters vanishes;
two factorizations of one P count twice, as in the generic ED degree. (P = 0 is always critical too for L ≥ 2.)

Two roads, with their certificates:
"exact"     two filters, one of them of size 2: real roots of one polynomial over Q (`elimination`). None is missed.
"interval"  the others: all complex points by `homotopy`, at most as many as the generic ED degree; those near the reals
            are proved to exist (`krawczyk`). That the list is complete is numerical evidence: every path was followed
            to its end. Where a path ends in a singular point (special targets) some may be missing, and every
            certificate reads "incomplete".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from theory.lcn.elimination import isolated_filters, single_filter
from theory.lcn.krawczyk import followed_filters
from theory.lcn.point_types import kind_of, pattern_of, stability_of
from theory.lcn.roots import RootPattern
from theory.lcn.square_loss import Filters, Matrix, SquareLoss, Vector


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
    root_pattern: RootPattern
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
    problem = SquareLoss.of(target, filter_sizes, strides, gram)
    found, certificate = _found(problem)
    points = [_described(problem, filters, certificate) for filters in found]
    least = min((p.loss for p in points), default=0.0)
    slack = 1e-12 * float(problem.norm(problem.target))
    points = [replace(p, optimal=p.loss <= least + slack) for p in points]
    return tuple(sorted(points, key=lambda p: (round(p.loss, 12), p.coefficients)))


def _found(problem: SquareLoss) -> tuple[list[Filters], str]:
    if sum(k > 1 for k in problem.sizes) < 2:
        return single_filter(problem), "exact"
    isolated = isolated_filters(problem)
    return followed_filters(problem) if isolated is None else (isolated, "exact")


def _described(problem: SquareLoss, filters: Filters, certificate: str) -> CriticalPoint:
    p = problem.composed(filters)
    balanced = _balanced(filters)
    kind = kind_of(problem, filters)
    return CriticalPoint(
        coefficients=tuple(float(x) for x in p),
        loss=float(problem.norm(p - problem.target)),
        filters=balanced,
        kind=kind,
        stability="minimum" if kind == "global" else stability_of(problem, balanced),
        optimal=False,
        root_pattern=pattern_of(balanced, problem.steps),
        certificate=certificate,
    )


def _balanced(filters: Filters) -> tuple[tuple[float, ...], ...]:
    norms = [math.sqrt(sum(x * x for x in part)) for part in filters]
    mean = math.exp(sum(map(math.log, norms)) / len(norms))
    return tuple(tuple(float(x) * mean / norm for x in part) for part, norm in zip(filters, norms, strict=True))
