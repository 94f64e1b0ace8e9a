"""Any architecture: the real critical points among all complex ones, each proved to exist by Krawczyk's test.

The complex ones come from a homotopy in floats (see `homotopy`). A point near the reals is refined in exact arithmetic,
and the test proves that its box holds exactly one real critical point.
"""

from fractions import Fraction

import numpy as np

from theory.lcn.homotopy import complex_critical_points
from theory.lcn.square_loss import Filters, SquareLoss, rational_array
from theory.lcn.tensors import derivatives

_DIGITS = 40  # of refined points
_NEAR_REAL = 1e-6  # of an endpoint with entries at most 1; only proposes, Krawczyk's test decides
_BOX = Fraction(1, 10**12)


def followed_filters(problem: SquareLoss) -> tuple[list[Filters], str]:
    """Real ones among all complex critical points, each proved to exist, to 40 digits; and the certificate.

    "interval" if every path ended well, "incomplete" if points may be missing, "exact" if there are none at all.
    Raises: ValueError if the generic ED degree exceeds 1000.
    """
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
        inverse = rational_array(np.linalg.inv(hessian[square]))
    except np.linalg.LinAlgError:
        return None
    point = rational_array(w)
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
