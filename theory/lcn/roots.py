"""The real and complex roots of a polynomial counted exactly, without computing one: square-free parts, then Sturm.

The numeric twin clusters computed roots and holds for well-separated ones only.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sympy import ZZ
from sympy.polys.densearith import dup_neg, dup_prem
from sympy.polys.densetools import dup_diff, dup_primitive
from sympy.polys.sqfreetools import dup_sqf_list

from theory.lcn.composition import Coefficients
from theory.lcn.forms import Form, dense, infinite_multiplicity, integer_form

RootPattern = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class RootMultiplicities:
    """The multiplicities of the distinct roots on the projective line, by where they lie; each tuple descends.

    Attributes:
        pairs: of the pairs of conjugate non-real roots.
        positive, negative: of the real roots that are neither 0 nor infinity.
        zero, infinity: of these two; 0 if they are no roots.
    """

    pairs: tuple[int, ...]
    positive: tuple[int, ...]
    negative: tuple[int, ...]
    zero: int
    infinity: int

    @property
    def real(self) -> tuple[int, ...]:
        """Of all real roots, descending."""
        return _descending([*self.positive, *self.negative, *(m for m in (self.zero, self.infinity) if m)])


def root_pattern(coefficients: Coefficients) -> RootPattern:
    """(multiplicities of the real roots, multiplicities of the pairs of complex roots), each descending; exact.

    Roots on the projective line: n vanishing leading coefficients are a real root at infinity of multiplicity n.

    Args:
        coefficients: from low to high degree; ints, Fractions, or floats taken as the rationals they are.
    Raises: ValueError for the zero polynomial and for entries that are not finite.
    Source: Kohn, Merkh, Montúfar, Trager, arXiv 2108.01538, section 4 ("real root multiplicity pattern").

    >>> root_pattern((0, 0, 1, 0, 1, 0))  # x²(1 + x²), once at infinity
    ((2, 1), (1,))
    """
    found = root_multiplicities(integer_form(coefficients))
    return found.real, found.pairs


def root_multiplicities(form: Form) -> RootMultiplicities:
    """The roots of a form that is not zero, counted exactly. Raises: ValueError for the zero form.

    For each square-free part Sturm's chain is read at −∞, 0 and ∞.
    """
    if not any(form):
        raise ValueError("the zero polynomial has no root pattern")
    finite = dense(form)
    zero = next(i for i, c in enumerate(form) if c)
    pairs: list[int] = []
    positive: list[int] = []
    negative: list[int] = []
    for part, multiplicity in dup_sqf_list(finite[: len(finite) - zero], ZZ)[1]:
        above, below = _real_roots(part)
        positive += [multiplicity] * above
        negative += [multiplicity] * below
        pairs += [multiplicity] * ((len(part) - 1 - above - below) // 2)
    return RootMultiplicities(
        _descending(pairs), _descending(positive), _descending(negative), zero, infinite_multiplicity(form)
    )


def _real_roots(squarefree: list) -> tuple[int, int]:
    """(positive, negative) roots of a square-free polynomial with constant term."""
    chain = [squarefree, dup_diff(squarefree, 1, ZZ)]
    while len(chain[-1]) > 1:
        chain.append(_negative_remainder(chain[-2], chain[-1]))
    at_zero = _sign_changes([p[-1] for p in chain])
    at_infinity = _sign_changes([p[0] for p in chain])
    at_minus_infinity = _sign_changes([p[0] * (-1) ** (len(p) - 1) for p in chain])
    return at_zero - at_infinity, at_minus_infinity - at_zero


def _negative_remainder(f: list, g: list) -> list:
    """A positive multiple of −(f mod g): primitive remainders keep the integers of the chain short."""
    remainder = dup_prem(f, g, ZZ)  # of f·lc(g)^(deg f − deg g + 1)
    if g[0] > 0 or (len(f) - len(g)) % 2:
        remainder = dup_neg(remainder, ZZ)
    return dup_primitive(remainder, ZZ)[1]


def _sign_changes(values: Sequence) -> int:
    signs = [v > 0 for v in values if v]
    return sum(a != b for a, b in itertools.pairwise(signs))


def _descending(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(values, reverse=True))
