"""What kind of critical point it is: global, pure or spurious; minimum or saddle; which roots its filters have."""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from theory.lcn.architectures import dimension
from theory.lcn.composition import compose
from theory.lcn.jacobians import jacobian
from theory.lcn.numeric import chordal_distance
from theory.lcn.roots import RootPattern, descending
from theory.lcn.square_loss import Filters, SquareLoss
from theory.lcn.tensors import derivatives, scaling_directions

_SAME = Fraction(1, 10**25)  # relative; between the error 1e-40 of a point and the distance of unequal ones
_FLAT = 1e-9  # relative; a Hessian eigenvalue below it counts as zero
_VANISHES = 1e-13  # relative to the largest coefficient of a filter: rounding of a balanced filter's exact zero
_ROOTS_MEET = 1e-6  # chordal distance; a root double within one filter is known to 1e-8 only


def kind_of(problem: SquareLoss, filters: Filters) -> str:
    """ "global", "pure" or "spurious", as in `CriticalPoint`, for filters accurate to 40 digits."""
    residual = problem.gram @ (problem.composed(filters) - problem.target)
    size = np.abs(problem.gram @ problem.target).max()
    if np.abs(residual).max() <= _SAME * size:
        return "global"
    levels: dict[int, tuple[Fraction, ...]] = {}
    for part, step in zip(filters, problem.steps, strict=True):
        levels[step] = compose((levels[step], part)) if step in levels else part
    merged = list(levels.values())
    ratios = [after // before for before, after in itertools.pairwise(levels)]
    tangent = np.concatenate(jacobian(merged, ratios), axis=1)
    values = np.linalg.svd(tangent.astype(float), compute_uv=False)
    regular = (values > _FLAT * values[0]).sum() == dimension([len(w) for w in merged], ratios)
    flat = np.abs(tangent.T @ residual).max() <= _SAME * size * np.abs(tangent).max()
    return "pure" if regular and flat else "spurious"


def stability_of(problem: SquareLoss, filters: Sequence[Sequence[float]]) -> str:
    """ "minimum", "saddle" or "degenerate", as in `CriticalPoint`: the inertia of the Hessian across the scalings."""
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


def pattern_of(filters: Sequence[Sequence[float]], steps: Sequence[int]) -> RootPattern:
    """Roots of each filter, then those that meet counted together: a root repeated across filters keeps its digits."""
    groups: list[list[complex]] = []
    for root in (z for part, step in zip(filters, steps, strict=True) for z in _roots(part, step)):
        near = (group for group in groups if chordal_distance(group[0], root) < _ROOTS_MEET)
        if (group := next(near, None)) is not None:
            group.append(root)
        else:
            groups.append([root])
    real = [group for group in groups if chordal_distance(group[0], group[0].conjugate()) < _ROOTS_MEET]
    upper = [group for group in groups if group not in real and group[0].imag > 0]
    return descending(map(len, real)), descending(map(len, upper))


def _roots(part: Sequence[float], step: int) -> list[complex]:
    """The roots of p(x^step), with infinity."""
    spread = np.zeros(1 + (len(part) - 1) * step)
    spread[::step] = part
    spread[np.abs(spread) <= _VANISHES * np.abs(spread).max()] = 0.0
    leading = np.flatnonzero(spread)[-1]
    finite = [complex(z) for z in np.roots(spread[: leading + 1][::-1])]
    return finite + [complex(np.inf)] * (len(spread) - 1 - leading)
