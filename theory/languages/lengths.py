"""Lengths in bits of the languages in closed form, from counts alone: what `encode` comes to, up to stated padding.

n entries, s of them not zero, k distinct non-zero values of b bits, which occur c_1 … c_k times. Every length is that
of a prefix-free code (Kraft's inequality holds over all nets of a given layout), so bounds may use it as it is.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

HIGH_BITS = 16  # of numbers that are split: of float32 the sign, the exponent and seven bits of the fraction
_ULPS = 16 * 2.0**-52  # covers the rounding of ln Γ, relative to the largest of the terms


def log2_binomial(n: float | np.ndarray, s: float | np.ndarray) -> float | np.ndarray:
    """Bits log2 C(n, s) of a subset, 0 ≤ s ≤ n, rounded up; 20.284 Mbit for the paper's largest nets at one per cent.

    >>> round(float(log2_binomial(256_000_000, 2_500_000)) / 1e6, 3)
    20.284
    """
    whole = gammaln(np.add(n, 1.0))
    return (whole * (1 + _ULPS) - gammaln(np.add(s, 1.0)) - gammaln(np.subtract(n, s) + 1.0)) / math.log(2)


def log2_arrangements(counts: Sequence[int] | np.ndarray) -> float:
    """Bits log2 (s! / Π c_j!) of an arrangement, for the occurrences c_j of each value, Σ c_j = s; rounded up."""
    occurrences = np.asarray(counts, dtype=np.float64)
    whole = float(gammaln(occurrences.sum() + 1.0))
    repeated = occurrences[occurrences > 1]  # ln 1! = 0
    return (whole * (1 + _ULPS) - float(gammaln(repeated + 1.0).sum())) / math.log(2)


def dense(n: int, b: int) -> float:
    """Length n b in bits of every entry with b bits."""
    return float(n * b)


def theorem2(n: int, s: int, k: int, b: int) -> float:
    """kb bits for the codebook, and log2(n+1) + log2 n + s log2(kn) for the map, which is the printed length but for
    room for s = n. Source: paper, Theorem 2."""
    k = max(k, 1)
    return k * b + math.log2(n + 1) + math.log2(n) + s * math.log2(k * n) if n else 0.0


def support(n: int, s: int) -> float:
    """Length log2(n + 1) + log2 C(n, s) in bits of the word that says which entries are not zero."""
    return math.log2(n + 1) + float(log2_binomial(n, s))


def kt_support(sizes: np.ndarray, counts: np.ndarray) -> float:
    """−log2 of the Krichevsky–Trofimov probability of indicators in contexts of `sizes` entries, `counts` of them ones:
    Σ_c log2 Γ(n_c + 1) Γ(½)² / Γ(s_c + ½) Γ(n_c − s_c + ½). Source: Krichevsky and Trofimov 1981."""
    n, s = np.asarray(sizes, np.float64), np.asarray(counts, np.float64)
    nats = gammaln(n + 1) * (1 + _ULPS) + math.log(math.pi) - gammaln(s + 0.5) - gammaln(n - s + 0.5)
    return float(nats.sum()) / math.log(2)


def enumerative_own(n: int, s: int, b: int) -> float:
    """The support and b bits for each non-zero entry."""
    return support(n, s) + s * b


def shared_values(s: int, k: int, b: int, arrangements: float) -> float:
    """log2 min(s, 2^b) + log2 C(2^b, k) + log2 C(s−1, k−1) + log2(s! / Π c_j!) bits: how many distinct values, which,
    how often each, and in which order; `arrangements` is the last term."""
    if s == 0:
        return 0.0
    return math.log2(min(s, 2**b)) + _codebook(k, b) + float(log2_binomial(s - 1, k - 1)) + arrangements


def split_values(s: int, b: int, arrangements: float, high_bits: int = HIGH_BITS) -> float:
    """log2 C(s + 2^h − 1, s) + log2(s! / Π c_j!) + s(b − h) bits: how often each pattern of the upper h bits occurs, in
    which order (`arrangements`), and the other bits as they are. Short where signs and exponents are few."""
    if s == 0:
        return 0.0
    patterns = 2**high_bits
    return float(log2_binomial(s + patterns - 1, s)) + arrangements + s * (b - high_bits)


def enumerative_shared(n: int, s: int, k: int, b: int, arrangements: float) -> float:
    """The support and shared values."""
    return support(n, s) + shared_values(s, k, b, arrangements)


def _codebook(k: int, b: int) -> float:
    """log2 C(2^b, k), or for b > 32, where a float does not hold ln Γ(2^b) to the bit, the larger kb − log2 k!."""
    if k > 2**b:
        raise ValueError(f"{k} distinct values do not fit {b} bits")
    if b > 32:
        return k * b - float(gammaln(k + 1.0)) / math.log(2)
    return float(log2_binomial(2**b, k))
