"""Percentages in words: plain ones for what was counted, outward ones for bounds."""

import math
from decimal import Decimal
from fractions import Fraction


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage, rounded to the nearest.

    >>> percent(0.35582)
    '35.6 %'
    """
    return f"{100 * share:.{digits}f} %"


def at_most(bound: float, digits: int = 2) -> str:
    """An upper bound in [0, 1] as a percentage, rounded up exactly: what is printed still holds.

    >>> at_most(0.546548)
    '54.66 %'
    """
    return f"{Decimal(math.ceil(Fraction(bound) * 100 * 10**digits)).scaleb(-digits)} %"
