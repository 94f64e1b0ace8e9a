"""Twins of the exact decisions that compute roots in floating point and forgive rounded coefficients.

Roots closer than a tolerance (chordal distance, half the distance on the unit sphere, at most 1) count as one. They are
right only if different roots are farther apart than that and equal ones are computed closer together: a root of
multiplicity m is known to about ε^{1/m}, so the default suits m ≤ 3.
"""

from collections.abc import Sequence

import numpy as np

from theory.lcn.architectures import levels
from theory.lcn.composition import Coefficients
from theory.lcn.function_space import Counts, can_be_shared, check_size
from theory.lcn.roots import RootPattern, descending

_VANISHES = 1e-12  # relative to the largest coefficient: a leading one below is a root at infinity, a last one a root 0

Roots = list[tuple[complex, int]]  # with multiplicities; infinity is `inf`


def root_pattern_numeric(coefficients: Coefficients, *, tolerance: float = 1e-4) -> RootPattern:
    """`root_pattern` from computed roots. Raises: ValueError for the zero polynomial and for entries not finite."""
    roots = orbit_roots(root_clusters(coefficients, tolerance), 1, tolerance)
    return descending(m for y, m in roots if y.imag == 0), descending(m for y, m in roots if y.imag > 0)


def in_function_space_numeric(
    coefficients: Coefficients,
    filter_sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    *,
    tolerance: float = 1e-4,
) -> bool:
    """`in_function_space` from computed roots; the same arguments and errors.

    >>> in_function_space_numeric((0.02, 0.01, 0.06, 0.03), (2, 2), (2, 1))
    True
    """
    check_size(coefficients, filter_sizes, strides)
    if not np.any(coefficients):
        return True
    clusters = root_clusters(coefficients, tolerance)
    parts = levels(filter_sizes, strides)
    return can_be_shared(parts, {p.step: _counts(orbit_roots(clusters, p.step, tolerance)) for p in parts})


def root_clusters(coefficients: Coefficients, tolerance: float) -> Roots:
    """The computed roots, each cluster as its mean. Raises: ValueError as in `root_pattern_numeric`."""
    numbers = np.asarray(coefficients, dtype=float)
    if not numbers.any() or not np.isfinite(numbers).all():
        raise ValueError("coefficients must be finite and not all zero")
    significant = np.flatnonzero(np.abs(numbers) > _VANISHES * np.abs(numbers).max())
    low, high = significant[0], significant[-1]
    computed = [complex(z) for z in np.roots(numbers[low : high + 1][::-1])]
    clusters: list[list[complex]] = []
    for z in [*computed, *[0j] * low, *[complex(np.inf)] * (len(numbers) - 1 - high)]:
        near = next((c for c in clusters if chordal_distance(c[0], z) < tolerance), None)
        if near is None:
            clusters.append([z])
        else:
            near.append(z)
    return [(sum(c) / len(c) if np.isfinite(c).all() else complex(np.inf), len(c)) for c in clusters]


def orbit_roots(clusters: Roots, step: int, tolerance: float) -> Roots:
    """The roots y of the largest H with H(x^step) | P, where P has these clusters; real ones have imaginary part 0.

    The multiplicity of y is the smallest among the points of its orbit {x : x^step = y}.
    """
    turns = np.exp(2j * np.pi * np.arange(step) / step)
    found: Roots = []
    seen: set[int] = set()
    for i, (z, multiplicity) in enumerate(clusters):
        if i in seen:
            continue
        if min(chordal_distance(z, 0j), chordal_distance(z, complex(np.inf))) < tolerance:
            found.append((0j if abs(z) < 1 else complex(np.inf), multiplicity // step))
            continue
        near = [[j for j, (w, _) in enumerate(clusters) if chordal_distance(w, z * t) < tolerance] for t in turns]
        seen |= {j for points in near for j in points}
        y = complex(z) ** step
        is_real = any(chordal_distance(z.conjugate(), z * t) < 2 * tolerance for t in turns)
        smallest = min(sum(clusters[j][1] for j in points) for points in near)
        found.append((complex(y.real) if is_real else y, smallest))
    return [(y, m) for y, m in found if m]


def chordal_distance(z: complex, w: complex) -> float:
    """|z − w| / √((1 + |z|²)(1 + |w|²)), with its limits at infinity: half the distance on the unit sphere."""
    if np.isinf(z) or np.isinf(w):
        finite = [u for u in (z, w) if not np.isinf(u)]
        return float(1 / np.hypot(1, abs(finite[0]))) if finite else 0.0
    return float(abs(z - w) / (np.hypot(1, abs(z)) * np.hypot(1, abs(w))))


def _counts(roots: Roots) -> Counts:
    pairs = sum(m for y, m in roots if y.imag > 0)
    fixed = sum(m for y, m in roots if y == 0 or np.isinf(y))
    positive, negative = (sum(m for y, m in roots if y.imag == 0 and 0 < s * y.real < np.inf) for s in (1, -1))
    return pairs, positive, negative, fixed
