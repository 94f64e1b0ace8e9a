"""Percentages in words of what was counted; bounds are written by `theory.verdicts.at_most`."""


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage, rounded to the nearest.

    >>> percent(0.35582)
    '35.6 %'
    """
    return f"{100 * share:.{digits}f} %"
