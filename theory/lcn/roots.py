"""The multiplicities of the real and complex roots of a polynomial over Q, exactly: no root is computed.

The polynomial is split into its square-free parts, whose real roots are counted. Its numeric twin is in `numeric`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sympy import ZZ
from sympy.polys.sqfreetools import dup_sqf_list

from theory.lcn.composition import Coefficients
from theory.lcn.forms import Form, dense, from_dense, infinite_multiplicity, integer_form
from theory.lcn.real_roots import count_real_roots

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
        """Multiplicities of all real roots, descending."""
        return descending([*self.positive, *self.negative, *(m for m in (self.zero, self.infinity) if m)])


def root_pattern(coefficients: Coefficients) -> RootPattern:
    """Multiplicities of the real roots, and of the pairs of complex ones; each tuple descends; exact.

    Roots on the projective line: n vanishing leading coefficients are a real root at infinity of multiplicity n.

    Args:
        coefficients: from low to high degree; ints, Fractions, or floats taken as the rationals they are.
    Raises: ValueError for the zero polynomial and for entries that are not finite.
    Source: Kohn, Merkh, Montúfar, Trager, arXiv 2108.01538 ("real root multiplicity pattern").

    >>> root_pattern((0, 0, 1, 0, 1, 0))  # x²(1 + x²), once at infinity
    ((2, 1), (1,))
    """
    found = root_multiplicities(integer_form(coefficients))
    return found.real, found.pairs


def root_multiplicities(form: Form) -> RootMultiplicities:
    """The roots of a form, counted exactly. Raises: ValueError for the zero form."""
    if not any(form):
        raise ValueError("the zero polynomial has no root pattern")
    pairs: list[int] = []
    positive: list[int] = []
    negative: list[int] = []
    zero = next(i for i, c in enumerate(form) if c)
    for part, multiplicity in dup_sqf_list(dense(form[zero:]), ZZ)[1]:
        above, below = count_real_roots(from_dense(part))
        positive += [multiplicity] * above
        negative += [multiplicity] * below
        pairs += [multiplicity] * ((len(part) - 1 - above - below) // 2)
    return RootMultiplicities(
        descending(pairs), descending(positive), descending(negative), zero, infinite_multiplicity(form)
    )


def descending(values: Iterable[int]) -> tuple[int, ...]:
    """Numbers sorted, the largest first."""
    return tuple(sorted(values, reverse=True))
