"""Whether a description's bounds say more than guessing does, and with how many samples they would.

One answer for everybody who prints the word "vacuous": decided by the tightest bound that holds, not by the one that
happens to be at hand.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from theory import bounds

_LONGEST = 2.0**60  # bits; without classes no description is too long for less than certainty


@dataclass(frozen=True)
class Bounds:
    """Every bound on the expected 0-1 loss, in [train error, 1]: the paper's as printed first, the tightest last."""

    theorem1: float
    occam_hoeffding: float
    occam_kl: float
    occam_binomial: float

    @property
    def tightest(self) -> float:
        """The least of the bounds. All of them hold on the same event, so choosing the least costs nothing."""
        return min(self.theorem1, self.occam_hoeffding, self.occam_kl, self.occam_binomial)


@dataclass(frozen=True)
class Verdict:
    """What the tightest bound says against guessing.

    bound: the tightest bound, in [0, 1].
    guessing: error of a guess, in (0, 1]; a bound from there on is vacuous.
    samples_needed: samples with which the bound would be below it, at this description length and train error; 0 where
        the bound is below it already, inf where no number is enough.
    """

    bound: float
    guessing: float
    samples_needed: float

    @property
    def vacuous(self) -> bool:
        """Whether the tightest bound says no more than guessing does."""
        return self.bound >= self.guessing


def at_most(bound: float, digits: int = 2) -> str:
    """An upper bound in [0, 1] as a percentage, rounded up exactly: what is printed still holds.

    >>> at_most(0.546548)
    '54.66 %'
    """
    return f"{Decimal(math.ceil(Fraction(bound) * 100 * 10**digits)).scaleb(-digits)} %"


def all_bounds(errors: int, description_bits: float, samples: int, delta: float = 0.05) -> Bounds:
    """Every bound for a hypothesis that is wrong on `errors` of `samples` examples. Raises ValueError as `bounds`."""
    binomial = bounds.occam_binomial(errors, description_bits, samples, delta)
    train_error = errors / samples
    return Bounds(
        bounds.theorem1(train_error, description_bits, samples, delta),
        bounds.occam_hoeffding(train_error, description_bits, samples, delta),
        bounds.occam_kl(train_error, description_bits, samples, delta),
        binomial,
    )


def judge(
    errors: int, description_bits: float, samples: int, *, delta: float = 0.05, classes: int | None = None
) -> Verdict:
    """The verdict on a hypothesis that is wrong on `errors` of `samples` examples.

    Args:
        classes: number of equally likely classes, ≥ 2, so that a guess is wrong with probability 1 − 1/classes;
            without it a bound is vacuous at 1.

    >>> judge(40_000, 3199, 50_000, classes=10).vacuous  # Occam–kl gives 0.90004, Occam–binomial 0.89998
    False
    """
    guessing = 1.0 if classes is None else 1 - 1 / classes
    bound = all_bounds(errors, description_bits, samples, delta).tightest
    needed = 0.0
    if bound >= guessing:
        reachable = errors / samples + 1e-12 <= guessing
        needed = samples_needed(errors, description_bits, samples, guessing, delta) if reachable else math.inf
    return Verdict(bound, guessing, needed)


def samples_needed(errors: int, description_bits: float, samples: int, level: float, delta: float = 0.05) -> int:
    """An m at which `occam_binomial` < level and at m − 1 is not, for ⌈m · errors/samples⌉ errors of m.

    level must lie in [errors/samples + 1e-12, 1]. While the errors stay the same number the bound falls as m grows; it
    jumps where they become one more. So the number of errors is found first, then m among those that have it. Without
    errors it is the least such m; else some samples/errors less may do, by luck of the rounding.
    """
    if not errors / samples + 1e-12 <= level <= 1:
        raise ValueError(f"level must lie in [errors/samples + 1e-12, 1], got {level} for {errors} of {samples}")

    def reached(allowed: int, size: int) -> bool:
        return bounds.occam_binomial(allowed, description_bits, size, delta) < level

    if not errors:
        return _least(lambda size: reached(0, size))
    allowed = _least(lambda number: reached(number, number * samples // errors))
    first = (allowed - 1) * samples // errors  # where allowed − 1 errors are the last time enough
    return first + _least(lambda more: reached(allowed, first + more))


def bits_allowed(errors: int, samples: int, level: float, delta: float = 0.05) -> float:
    """The longest description, in bits and rounded down, whose tightest bound is below a level; 0 if none is.

    >>> round(bits_allowed(0, 50_000, 0.9))  # m log2(10) − log2(1/δ)
    166092
    """

    def below(description_bits: float) -> bool:
        return all_bounds(errors, description_bits, samples, delta).tightest < level

    if not below(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while high < _LONGEST and below(high):
        low, high = high, 2 * high
    while high - low > max(1e-6 * high, 1e-3):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low


def _least(holds: Callable[[int], bool]) -> int:
    """The least number from 1 on for which a condition holds that holds for all larger ones."""
    low, high = 0, 1
    while not holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
