"""The number of real roots of a square-free polynomial over Z, exactly, in two ways.

Descartes' rule with bisection (Collins, Akritas) has short integers and is fast unless roots are very close together.
Sturm's chain does not care about distances, but its integers grow with the square of the degree.
"""

import itertools
from collections.abc import Sequence

from sympy import ZZ
from sympy.polys.densearith import dup_neg, dup_prem
from sympy.polys.densetools import dup_diff, dup_primitive

_MOST_BISECTIONS = 400  # below a tenth of a second at degree 40; then the roots are too close, and Sturm decides

Integers = Sequence[int]


def count_real_roots(polynomial: Integers) -> tuple[int, int]:
    """(positive, negative) roots of a square-free polynomial with constant term, from low to high degree.

    >>> count_real_roots((-6, 1, 1))  # (x − 2)(x + 3)
    (1, 1)
    """
    mirrored = [c * (-1) ** i for i, c in enumerate(polynomial)]
    above, below = positive_by_bisection(polynomial), positive_by_bisection(mirrored)
    return by_sturm(polynomial) if above is None or below is None else (above, below)


def positive_by_bisection(polynomial: Integers) -> int | None:
    """The number of positive roots of a square-free polynomial with constant term, or None if roots are too close.

    Descartes: as many sign changes of the coefficients as positive roots, or more by an even number. So 0 and 1 are
    exact; else the interval is halved. For square-free polynomials this ends.
    """
    if sign_changes(polynomial) <= 1:
        return sign_changes(polynomial)
    count, intervals = 0, [_into_unit_interval(polynomial)]
    for _ in range(_MOST_BISECTIONS):
        p = intervals.pop()
        changes = sign_changes(_shifted(p[::-1]))  # of (1 + x)^d p(1/(1 + x)): the roots in (0, 1)
        if changes <= 1:
            count += changes
        else:
            left = [c << (len(p) - 1 - i) for i, c in enumerate(p)]
            right = _shifted(left)
            if right[0] == 0:
                count += 1
                right = right[1:]
            intervals += [left, right]
        if not intervals:
            return count
    return None


def by_sturm(polynomial: Integers) -> tuple[int, int]:
    """(positive, negative) roots of a square-free polynomial with constant term: Sturm's chain at −∞, 0 and ∞."""
    dense = [ZZ(c) for c in reversed(polynomial)]
    chain = [dense, dup_diff(dense, 1, ZZ)] if len(dense) > 1 else [dense]
    while len(chain[-1]) > 1:
        chain.append(_negative_remainder(chain[-2], chain[-1]))
    at_zero = sign_changes([p[-1] for p in chain])
    at_infinity = sign_changes([p[0] for p in chain])
    at_minus_infinity = sign_changes([p[0] * (-1) ** (len(p) - 1) for p in chain])
    return at_zero - at_infinity, at_minus_infinity - at_zero


def sign_changes(values: Integers) -> int:
    """The number of neighbours of opposite sign once zeros are left out."""
    signs = [v > 0 for v in values if v]
    return sum(a != b for a, b in itertools.pairwise(signs))


def _into_unit_interval(polynomial: Integers) -> list[int]:
    """A positive multiple of p(2^b x) with all positive roots in (0, 1): Fujiwara's bound 2 max |c_{d−i}/c_d|^{1/i}."""
    *lower, leading = (abs(c).bit_length() for c in polynomial)
    ratios = [-((leading - 1 - size) // i) for i, size in enumerate(reversed(lower), 1)]  # ⌈(size + 1 − leading)/i⌉
    bits, degree = 1 + max(ratios), len(lower)
    return [c << (bits * i if bits >= 0 else bits * (i - degree)) for i, c in enumerate(polynomial)]


def _shifted(polynomial: Integers) -> list[int]:
    """p(x + 1), by Horner's scheme."""
    out = list(polynomial)
    for i in range(len(out) - 1):
        for j in reversed(range(i, len(out) - 1)):
            out[j] += out[j + 1]
    return out


def _negative_remainder(f: list, g: list) -> list:
    """A positive multiple of −(f mod g): primitive remainders keep the integers of the chain short."""
    remainder = dup_prem(f, g, ZZ)  # of f·lc(g)^(deg f − deg g + 1)
    if g[0] > 0 or (len(f) - len(g)) % 2:
        remainder = dup_neg(remainder, ZZ)
    return dup_primitive(remainder, ZZ)[1]
