"""Generalization bounds from a description length. Lengths come in bits, bounds on an error in [0, 1] go out.

Each holds with probability at least 1 − δ over the sample, for all hypotheses of a prefix-free code fixed before it.
Values lie in [train_error, 1]: a loss in [0, 1] never exceeds 1.
"""

import math


def theorem1(train_error: float, description_bits: float, samples: int, delta: float = 0.05) -> float:
    """q + sqrt((L + ln(2/δ)) / 2m), as printed: the bits are charged as nats. Source: paper, Theorem 1.

    >>> round(theorem1(0.0, 10_000, 50_000), 3)
    0.316
    """
    _check(train_error, description_bits, samples, delta)
    return _upper(train_error, math.sqrt((description_bits + math.log(2 / delta)) / (2 * samples)))


def theorem2_mapping_bits(nonzeros: int, shared_values: int, weights: int) -> float:
    """‖w‖₀ log2(kn) + 2 log2 n bits for the map from weights to shared values. Source: paper, Theorem 2.

    Raises: ValueError unless 0 ≤ nonzeros ≤ weights and both other counts are at least 1.
    """
    if not 0 <= nonzeros <= weights or weights < 1 or shared_values < 1:
        raise ValueError(
            f"need 0 ≤ nonzeros ≤ weights and shared_values ≥ 1, got {nonzeros}, {weights}, {shared_values}"
        )
    return nonzeros * math.log2(shared_values * weights) + 2 * math.log2(weights)


def theorem2(
    train_error: float,
    *,
    shared_values: int,
    value_bits: float,
    mapping_bits: float,
    weights: int,
    samples: int,
    delta: float = 0.05,
) -> float:
    """q + sqrt((kb + |d(g)| + ln(2n/δ)) / 2m), as printed: the bits are charged as nats. Source: paper, Theorem 2."""
    _check(train_error, mapping_bits, samples, delta)
    if weights < 1 or shared_values < 0 or not 0 <= value_bits < math.inf:
        raise ValueError(
            f"need weights ≥ 1, shared_values ≥ 0, value_bits ≥ 0, got {weights}, {shared_values}, {value_bits}"
        )
    complexity = shared_values * value_bits + mapping_bits + math.log(2 * weights / delta)
    return _upper(train_error, math.sqrt(complexity / (2 * samples)))


def occam_hoeffding(train_error: float, description_bits: float, samples: int, delta: float = 0.05) -> float:
    """q + sqrt((L ln 2 + ln(1/δ)) / 2m), the tight form of Theorem 1.

    >>> round(occam_hoeffding(0.0, 10_000, 50_000), 3)
    0.263
    """
    _check(train_error, description_bits, samples, delta)
    return _upper(train_error, math.sqrt(_nats(description_bits, delta) / (2 * samples)))


def occam_kl(train_error: float, description_bits: float, samples: int, delta: float = 0.05) -> float:
    """sup{p ≥ q : m kl(q‖p) ≤ L ln 2 + ln(1/δ)}, rounded up. Source: Chernoff's inequality; Langford 2005.

    >>> round(occam_kl(0.0, 10_000, 50_000), 4)
    0.1295
    """
    _check(train_error, description_bits, samples, delta)
    return kl_inverse(train_error, _nats(description_bits, delta) / samples)


def kl(q: float, p: float) -> float:
    """Binary relative entropy kl(q‖p) in nats, for q and p in [0, 1]; infinite where p excludes what q allows."""
    if (q > 0 and p <= 0) or (q < 1 and p >= 1):
        return math.inf
    first = q * math.log(q / p) if q > 0 else 0.0
    second = (1 - q) * (math.log1p(-q) - math.log1p(-p)) if q < 1 else 0.0
    return max(first + second, 0.0)


def kl_inverse(q: float, c: float) -> float:
    """sup{p in [q, 1] : kl(q‖p) ≤ c} for c ≥ 0 nats, the upper end of the bisection."""
    low, high = q, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if kl(q, middle) <= c else (low, middle)
    return high


def _nats(description_bits: float, delta: float) -> float:
    """L ln 2 + ln(1/δ): the one place where bits become nats."""
    return description_bits * math.log(2) - math.log(delta)


def _upper(train_error: float, gap: float) -> float:
    return min(math.nextafter(train_error + gap, math.inf), 1.0)


def _check(train_error: float, description_bits: float, samples: int, delta: float) -> None:
    if not 0 <= train_error <= 1:
        raise ValueError(f"train_error must lie in [0, 1], got {train_error}")
    if not 0 <= description_bits < math.inf:
        raise ValueError(f"description_bits must be finite and non-negative, got {description_bits}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie in (0, 1), got {delta}")
