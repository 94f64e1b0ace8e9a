"""What it would take: how long a description may be, and what pruning and quantizing a net would come to."""

from dataclasses import dataclass

from lcfs.descriptions.counted import Report
from theory.languages import lengths
from theory.verdicts import all_bounds, bits_allowed

VALUE_BITS = 4
_CODEBOOK_BITS = 32 * 2**VALUE_BITS


@dataclass(frozen=True)
class Outlook:
    """How far a net is from a bound that says something, at the train error that it has.

    Attributes:
        bits_allowed: the longest description that is better than guessing, 0 if none is.
        weights_allowed: how many non-zero weights of 4 bits fit into it.
        halved_bits, halved_bound: length and tightest bound with half as many non-zero weights, of 4 bits each.
    """

    bits_allowed: float
    weights_allowed: int
    halved_bits: float
    halved_bound: float


def outlook(report: Report) -> Outlook:
    """The outlook of a net with these counts and this train error."""
    n, s = report.weights, report.nonzeros
    allowed = bits_allowed(report.errors, report.samples, report.verdict.guessing, report.delta)
    low, high = 0, n + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if pruned_bits(n, middle) <= allowed else (low, middle)
    halved = pruned_bits(n, s // 2)
    bound = all_bounds(report.errors, halved, report.samples, report.delta).tightest
    return Outlook(allowed, low, halved, bound)


def pruned_bits(n: int, s: int) -> float:
    """Bits of n weights of which s are not zero and take one of 16 values: which ones, their labels, the values.

    >>> round(pruned_bits(1_000_000, 10_000))
    121317
    """
    support = lengths.support(n, min(s, n))
    return support + s * VALUE_BITS + _CODEBOOK_BITS
