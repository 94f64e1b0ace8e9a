"""All complex critical points of a square loss on the tensors w_1 ⊗ … ⊗ w_L, numerically: monodromy, then homotopy.

The points of one generic problem are collected by following them around random loops until there are as many as the
generic ED degree says. They are then followed to those of the given problem.
"""

import functools
from dataclasses import dataclass

import numpy as np

from theory.lcn.ed_degree import generic_ed_degree
from theory.lcn.tensors import (
    balanced,
    derivatives,
    first_derivatives,
    scaling_directions,
    tensor_entries,
    tensor_factors,
)

_RANDOM_SEED = 20_211_108
_PREDICTED = 1e-3  # relative: a predictor this good, and quadratic convergence after it, keep a path from jumping
_CORRECTED = 1e-9  # relative, the second Newton step
_SMALLEST_STEP = 1e-7  # of the path's [0, 1]: a path that needs less ends in a singular point or at infinity
_LARGE = 1e4  # relative size of T: stopped at this step, paths to infinity have reached 1e6, those to 0 1e-7
_DISTINCT = 1e-7  # relative; endpoints of regular paths are accurate to about 1e-13
_MOST_PATHS = 1000
_MOST_LOOPS = 200


@dataclass(frozen=True)
class ComplexCriticalPoints:
    """The complex critical points with P ≠ 0 that paths led to.

    Attributes:
        filters: [points, Σk_i], complex, concatenated, filters of equal norm.
        expected: the generic ED degree, the number of paths.
        complete: every path ended in a regular point of its own or left towards T = 0 or infinity. Every isolated point
            is the limit of a path, and a real one has ‖P‖ ≤ ‖u‖: no real point with P ≠ 0 is then missing.
    """

    filters: np.ndarray
    expected: int
    complete: bool


def complex_critical_points(
    filter_sizes: tuple[int, ...], form: np.ndarray, linear: np.ndarray
) -> ComplexCriticalPoints:
    """Follow the critical points of a generic ½ TᵀFT − cᵀT on the Segre variety to those of the given one.

    Args:
        filter_sizes: k_1 … k_L.
        form, linear: F and c, [Πk_i, Πk_i] and [Πk_i]; for a network with composition P = C T they are CᵀGC and CᵀGu.
    Raises: ValueError if the generic ED degree exceeds 1000.
    """
    start, problem = _generic_points(filter_sizes)
    ends, arrived = _track(_Segment(filter_sizes, problem, (form, linear)), start)
    entries = tensor_entries(filter_sizes)
    sizes = np.linalg.norm(ends[:, entries].prod(-1), axis=1) * np.linalg.norm(form) / np.linalg.norm(linear)
    left = (sizes > _LARGE) | (sizes < 1 / _LARGE)
    points = ends[arrived]
    complete = bool((arrived | left).all()) and len(_without_copies(points, entries)) == len(points)
    return ComplexCriticalPoints(points, len(start), complete)


_Problem = tuple[np.ndarray, np.ndarray]


@functools.lru_cache(maxsize=16)
def _generic_points(filter_sizes: tuple[int, ...]) -> tuple[np.ndarray, _Problem]:
    """All critical points of one generic problem (F, c), by monodromy; their number is known, so it knows when to stop.

    The pairs (point, problem) form an irreducible variety (a vector bundle over the points), so the monodromy is
    transitive. Among convolutional problems alone it is not: at stride 1 factorizations of u stay among themselves.
    """
    count = generic_ed_degree(filter_sizes)
    if count > _MOST_PATHS:
        raise ValueError(
            f"filter_sizes {filter_sizes} have {count:,} complex critical points; at most {_MOST_PATHS:,} are followed"
        )
    rng = np.random.default_rng(_RANDOM_SEED)
    entries = tensor_entries(filter_sizes)
    points = balanced(_complex_normal(rng, (1, sum(filter_sizes))), filter_sizes)
    home = _problem_of(points[0], filter_sizes, rng)
    for _ in range(_MOST_LOOPS):
        if len(points) == count:
            return points, home
        away = _random_problem(len(entries), rng)
        out, back = _complex_normal(rng, 2)  # a scaled problem has the same points, but another segment leads there
        moved, arrived = _track(_Segment(filter_sizes, home, (out * away[0], out * away[1])), points)
        moved, returned = _track(_Segment(filter_sizes, (back * away[0], back * away[1]), home), moved[arrived])
        points = _without_copies(np.concatenate([points, moved[returned]]), entries)
    raise ArithmeticError(f"monodromy found {len(points)} of {count} critical points for filter_sizes {filter_sizes}")


def _problem_of(point: np.ndarray, filter_sizes: tuple[int, ...], rng: np.random.Generator) -> _Problem:
    """A generic problem among those to which this point is critical: c = F T minus a conormal vector of the Segre."""
    entries = tensor_entries(filter_sizes)
    form, normal = _random_problem(len(entries), rng)
    tensor = point[entries].prod(-1)
    left, values, _ = np.linalg.svd(first_derivatives(point[entries].T, filter_sizes))
    outside = left[:, int((values > 1e-10 * values[0]).sum()) :].conj()  # rᵀ tangent = 0
    return form, form @ tensor - outside @ (outside.conj().T @ normal)


def _random_problem(size: int, rng: np.random.Generator) -> _Problem:
    square = _complex_normal(rng, (size, size))
    return (square + square.T) / 2, _complex_normal(rng, size)


def _complex_normal(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@dataclass(frozen=True)
class _Segment:
    """The problems (1 − s) start + s end for s in [0, 1], and the motion of their critical points.

    Points move orthogonally to the scalings of filters, the bordered system's last L − 1 rows; its last columns absorb
    nothing, since by homogeneity the right-hand sides are orthogonal to the scalings too.
    """

    filter_sizes: tuple[int, ...]
    start: _Problem
    end: _Problem

    def velocity(self, w: np.ndarray, time: np.ndarray) -> np.ndarray:
        """dw/ds along a path of critical points, [paths, Σk_i]."""
        turn, push = self.end[0] - self.start[0], self.end[1] - self.start[1]
        factors = tensor_factors(w, self.filter_sizes)
        first = first_derivatives(factors, self.filter_sizes)
        drift = ((np.prod(factors, axis=0) @ turn - push)[:, None] @ first)[:, 0]
        return self._solve(w, self._derivatives(w, time)[1], drift)

    def newton(self, w: np.ndarray, time: np.ndarray) -> np.ndarray:
        """The Newton step, [paths, Σk_i]."""
        gradient, hessian = self._derivatives(w, time)
        return self._solve(w, hessian, gradient)

    def _derivatives(self, w: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        form = self.start[0] + time[:, None, None] * (self.end[0] - self.start[0])
        linear = self.start[1] + time[:, None] * (self.end[1] - self.start[1])
        return derivatives(w, self.filter_sizes, form, linear)

    def _solve(self, w: np.ndarray, hessian: np.ndarray, right: np.ndarray) -> np.ndarray:
        scalings = scaling_directions(w, self.filter_sizes).conj()
        corner = np.zeros((len(w),) + (scalings.shape[-1],) * 2)
        bordered = np.block([[hessian, scalings], [scalings.swapaxes(-1, -2), corner]])
        padded = np.pad(-right, ((0, 0), (0, scalings.shape[-1])))
        return np.linalg.solve(bordered, padded[..., None])[:, : w.shape[1], 0]


def _track(segment: _Segment, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All paths at once from s = 0 to 1: Runge–Kutta, then Newton, each with its own step; (ends, which arrived)."""
    w, time, step = points.astype(complex), np.zeros(len(points)), np.full(len(points), 0.05)
    while (active := np.flatnonzero((time < 1) & (step > _SMALLEST_STEP))).size:
        now = time[active]
        after = np.minimum(now + step[active], 1.0)
        try:
            moved, settled = _advance(segment, w[active], now, after)
        except np.linalg.LinAlgError:  # one path of the batch hit an exactly singular system: all try a shorter step
            step[active] /= 2
            continue
        w[active] = np.where(settled[:, None], moved, w[active])
        time[active] = np.where(settled, after, now)
        step[active] *= np.where(settled, 2.0, 0.5)
    return w, time >= 1


def _advance(segment: _Segment, w: np.ndarray, now: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    length, middle = (after - now)[:, None], (now + after) / 2
    with np.errstate(all="ignore"):  # a step too long may overflow; it is then not settled
        k1 = segment.velocity(w, now)
        k2 = segment.velocity(w + length / 2 * k1, middle)
        k3 = segment.velocity(w + length / 2 * k2, middle)
        k4 = segment.velocity(w + length * k3, after)
        moved = w + length / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        size = np.linalg.norm(moved, axis=1)
        first = segment.newton(moved, after)
        second = segment.newton(moved + first, after)
        moved = moved + first + second
        settled = np.linalg.norm(first, axis=1) < _PREDICTED * size
        settled &= np.linalg.norm(second, axis=1) < _CORRECTED * size
        return balanced(moved, segment.filter_sizes), settled & np.isfinite(moved).all(axis=1)


def _without_copies(points: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """One point of each scaling class: T tells them apart."""
    tensors = points[:, entries].prod(-1)
    kept: list[int] = []
    for i, tensor in enumerate(tensors):
        gaps = np.linalg.norm(tensors[kept] - tensor, axis=1)
        if (gaps > _DISTINCT * np.linalg.norm(tensor)).all():
            kept.append(i)
    return points[kept]
