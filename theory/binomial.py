"""Tails of the binomial distribution, in log space, and the inverses that bounds need; all rounded up."""

import math

import numpy as np

_ULPS = 8 * 2.0**-52  # covers the handful of rounded operations of a closed formula
_KL_SLACK = 1e-13  # relative, on the nats: covers the rounding of `kl`
_TAIL_SLACK = 1e-10  # relative, on the nats: covers the rounding of the 10⁵ tail terms that 10⁹ samples need


def kl(q: float, p: float) -> float:
    """Binary relative entropy q ln(q/p) + (1−q) ln((1−q)/(1−p)) in nats, for q and p in [0, 1]; may be infinite."""
    if not (0 <= q <= 1 and 0 <= p <= 1):
        raise ValueError(f"q and p must lie in [0, 1], got {q} and {p}")
    return _divergence(q, p, p - q) + _divergence(1 - q, 1 - p, q - p)


def kl_inverse(q: float, c: float) -> float:
    """Inverse of `kl` in its second argument, sup{p in [q, 1] : kl(q‖p) ≤ c}, for q in [0, 1] and c ≥ 0 nats.

    Returns: the upper end of the bisection, so never less than the supremum.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"q must lie in [0, 1], got {q}")
    if not c >= 0:
        raise ValueError(f"c must be non-negative, got {c}")
    low, high = q, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if kl(q, middle) <= c * (1 + _KL_SLACK) else (low, middle)
    return high


def _divergence(a: float, b: float, d: float) -> float:
    """d − a ln(b/a) ≥ 0 for d = b − a: the two terms of kl with their linear parts, so that nothing cancels."""
    if a == 0:
        return d
    if b == 0:
        return math.inf
    if abs(d) > 0.3 * a:
        return d - a * (math.log(b) - math.log(a))
    x = d / a  # x − ln(1+x) = xr − 2(r³/3 + r⁵/5 + …) with r = x / (2+x), |r| < 0.18
    r = x / (2 + x)
    return a * (x * r - 2 * math.fsum(r**i / i for i in range(3, 25, 2)))


def binomial_inverse(errors: int, samples: int, nats: float) -> float:
    """Inverse of the lower tail, sup{p ≥ errors/samples : ln P[Bin(samples, p) ≤ errors] ≥ −nats}, by Newton's method.

    The log tail is concave and decreasing in p, and Chernoff's bound starts to the right of the root, where Newton's
    steps for such a function never pass it: every iterate is a valid bound.
    """
    q = errors / samples
    start = p = kl_inverse(q, nats / samples)
    target = -nats * (1 + _TAIL_SLACK)
    while q < p < 1:
        ratio = _tail_ratio(errors, samples, p)
        log_tail = _log_pmf(errors, samples, p) + math.log(ratio)
        step = (target - log_tail) * (1 - p) * ratio / (samples - errors)  # ∂ log_tail/∂p = −(m−k) / ((1−p) ratio)
        p = max(p - max(step, 0.0), q)
        if step <= 1e-12 * p:
            break
    return min(round_up(q, p), start)


def _log_pmf(k: int, m: int, p: float) -> float:
    """ln P[Bin(m, p) = k] for k < m, in the saddle-point form, in which nothing cancels. Source: Loader 2000."""
    if k == 0:
        return -m * kl(0.0, p)
    correction = _stirling_error(m) - _stirling_error(k) - _stirling_error(m - k)
    return correction - m * kl(k / m, p) - 0.5 * math.log(2 * math.pi * k * ((m - k) / m))


def _stirling_error(n: int) -> float:
    """ln n! − ln(sqrt(2πn) (n/e)^n)."""
    if n < 16:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi)
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / n**2) / n**2) / n**2) / n**2) / n


def _tail_ratio(k: int, m: int, p: float) -> float:
    """P[Bin(m, p) ≤ k] / P[Bin(m, p) = k] for p ≥ k/m: a sum of decreasing positive terms, O(sqrt(m)) of them count."""
    total = last = 1.0
    begin, odds = 0, (1 - p) / p
    while begin < k and last > 1e-18 * total:
        i = np.arange(begin, min(begin + 4096, k), dtype=np.float64)
        terms = last * np.cumprod((k - i) / (m - k + i + 1) * odds)
        total, last = total + float(terms.sum()), float(terms[-1])
        begin += 4096
    return total


def round_up(least: float, value: float) -> float:
    """A value from a closed formula, raised by its rounding and kept in [least, 1]."""
    return min(max(value * (1 + _ULPS), least), 1.0)
