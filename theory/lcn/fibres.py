"""All the ways to write a polynomial as the composition of a linear convolutional network: the fibre over it.

Filters may be scaled against each other; up to that a fibre over P ≠ 0 is finite. From the last layer to the first each
filter takes its share of the orbits of P's roots.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq

from theory.lcn.architectures import levels
from theory.lcn.composition import Coefficients, compose, layer_steps
from theory.lcn.forms import integer_form, rationals
from theory.lcn.function_space import check_size
from theory.lcn.orbits import Orbits, exact_orbits, numeric_orbits

Factorization = tuple[tuple[Any, ...], ...]  # the filters of all layers


def fibre(
    coefficients: Coefficients, filter_sizes: Sequence[int], strides: Sequence[int] | None = None
) -> tuple[Factorization, ...]:
    """All real filters of these sizes with composition P, one from each class up to scaling; exact. None if P ∉ M.

    All filters but the first have highest non-zero coefficient 1; the first carries the scale, so that
    compose(filters, strides) is P. Filters of equal size and step can be swapped: both orders are listed. Their number
    grows fast with the degree; so does the time for irreducible factors of P of high degree.

    Args:
        coefficients: of P ≠ 0, as in `in_function_space`.
        filter_sizes, strides: as in `compose`.
    Returns: coefficients are Fractions where the roots are rational, or complex and quadratic; otherwise exact real
        algebraic numbers of sympy (radicals, `CRootOf`, and their real parts and absolute values).
    Raises: ValueError for P = 0, whose fibre is not finite, or coefficients as in `in_function_space`.

    >>> [[[int(c) for c in w] for w in filters] for filters in fibre((2, 3, 1), (2, 2))]
    [[[1, 1], [2, 1]], [[2, 1], [1, 1]]]
    """
    check_size(coefficients, filter_sizes, strides)
    exact = rationals(coefficients)
    _check_not_zero(exact)
    scale = next(c for c in reversed(exact) if c)
    orbits = exact_orbits(integer_form(exact), _steps(filter_sizes, strides))
    return tuple(_factorizations(orbits, scale, filter_sizes, strides))


def fibre_numeric(
    coefficients: Coefficients,
    filter_sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    *,
    tolerance: float = 1e-4,
) -> tuple[Factorization, ...]:
    """`fibre` from computed roots, in floats; `tolerance` as in `in_function_space_numeric`."""
    check_size(coefficients, filter_sizes, strides)
    _check_not_zero(coefficients)
    orbits = numeric_orbits(coefficients, _steps(filter_sizes, strides), tolerance)
    at_infinity = sum(orbit.fits for orbit in orbits.found if orbit.step == 1 and orbit.factor == (1, 0))
    scale = float(coefficients[len(coefficients) - 1 - at_infinity])
    return tuple(_factorizations(orbits, scale, filter_sizes, strides))


def with_invariants(filters: Sequence[Coefficients], invariants: Sequence[float]) -> tuple[np.ndarray, ...]:
    """The filters c_i w_i, Πc_i = 1 and c_i > 0, for which ‖w_i‖² − ‖w_{i+1}‖² is the given δ_i; in floats.

    They exist and are unique: with t the smallest of the new squared norms, these are t + g_i with known gaps g_i ≥ 0,
    and Π (t + g_i) = Π ‖w_i‖² has exactly one solution t > 0.

    Args:
        filters: w_1 … w_L, none of them zero.
        invariants: δ_1 … δ_{L−1}.
    Raises: ValueError for a filter that is zero, or another number of invariants.
    """
    arrays = [np.array([float(c) for c in w]) for w in filters]
    squares = np.array([w @ w for w in arrays])
    if not squares.all():
        raise ValueError("a filter is zero, and no scaling changes its norm: leave it as it is")
    if len(invariants) != len(filters) - 1:
        raise ValueError(f"invariants must be {len(filters) - 1} for {len(filters)} filters, got {len(invariants)}")
    heights = np.cumsum([0.0, *(float(x) for x in reversed(invariants))])[::-1]
    gaps = heights - heights.min()
    log_product = np.log(squares).sum()
    high = log_product / len(filters)  # of log t, as t^L ≤ Π (t + g_i); low: the other factors at their largest
    low = log_product - np.log(np.delete(np.exp(high) + gaps, gaps.argmin())).sum()

    def excess(log_smallest: float) -> float:
        return float(np.log(np.exp(log_smallest) + gaps).sum() - log_product)

    smallest = np.exp(brentq(excess, low - 1, high + 1, xtol=1e-15, rtol=1e-15))
    return tuple(w * np.sqrt((smallest + g) / n) for w, g, n in zip(arrays, gaps, squares, strict=True))


def _check_not_zero(coefficients: Coefficients) -> None:
    if not np.any(coefficients):
        raise ValueError("the fibre over the zero polynomial is not finite: one filter is zero, the others are free")


def _steps(filter_sizes: Sequence[int], strides: Sequence[int] | None) -> list[int]:
    return [level.step for level in levels(filter_sizes, strides)]


def _factorizations(
    orbits: Orbits, scale: Any, filter_sizes: Sequence[int], strides: Sequence[int] | None
) -> Iterator[Factorization]:
    layers = list(zip(layer_steps(filter_sizes, strides), (k - 1 for k in filter_sizes), strict=True))
    for shares in _shares(layers, orbits, np.array([orbit.fits for orbit in orbits.found], dtype=int)):
        factors = [[o.factor for o, n in zip(orbits.found, share, strict=True) for _ in range(n)] for share in shares]
        first, *others = (compose([(1,), *group]) for group in factors)
        yield (tuple(scale * c for c in first), *others)


def _shares(layers: Sequence[tuple[int, int]], orbits: Orbits, left: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """For each layer (step, degree) how often it has each orbit; `left` is how often each still fits into P.

    The last layer chooses first. Whatever it takes fits (see `function_space`), and the degrees leave nothing over.
    """
    if not layers:
        yield ()
        return
    *before, (step, degree) = layers
    sizes = [len(orbit.factor) - 1 for orbit in orbits.found]
    limits = [int(n) if orbit.step == step else 0 for orbit, n in zip(orbits.found, left, strict=True)]
    for chosen in _bounded_sums(sizes, limits, degree):
        share = np.array(chosen, dtype=int)
        for shares in _shares(before, orbits, left - share @ orbits.takes):
            yield (*shares, share)


def _bounded_sums(sizes: Sequence[int], limits: Sequence[int], total: int) -> Iterator[tuple[int, ...]]:
    """All n with Σ n_i sizes_i = total and 0 ≤ n_i ≤ limits_i."""
    if not sizes:
        yield from [()] if total == 0 else []
    elif total <= sum(size * limit for size, limit in zip(sizes, limits, strict=True)):
        for n in range(min(limits[0], total // sizes[0]) + 1):
            for rest in _bounded_sums(sizes[1:], limits[1:], total - n * sizes[0]):
                yield (n, *rest)
