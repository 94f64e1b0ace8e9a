"""Theorems 1 and 2 of the paper in symbols: what they spend, how one gives the other, what their code costs.

A code d with Σ_h 2^−|d(h)| ≤ 1 is fixed before an i.i.d. sample of size m is drawn. Hoeffding's inequality lets one
fixed h exceed `bound` with probability at most `spent(bound)`; so the bound holds for all h at once, with probability
at least 1 − δ, as soon as Σ_h spent(bound) ≤ δ. Everything below is this one sum.

Where the printed text is silent, and what is read into it here:

* The loss lies in [0, 1]: Theorem 1's source says so, the paper does not, and `unbounded_loss` shows that it must.
* "log" is natural in log(2/δ) and log(2n/δ); a length |d| is in bits. A larger base only makes the bounds larger.
* One label of a map means "value 0" and is not stored: s = ‖w‖₀ counts the weights with another label, k ≥ 1 the other
  labels, and the net of zeros is charged k = 1. `READINGS` says what the other conventions do to Kraft's inequality.
* s takes n + 1 values, and the log n bits that the proof allots to it name n.

This module is not imported by `import theory`, which stays free of sympy.
"""

# pyrefly: ignore-errors
# (it does not see through the decorators around sympy's operators)

from dataclasses import dataclass, fields

import sympy as sp

q = sp.Symbol("q", nonnegative=True)  # train error
delta = sp.Symbol("delta", positive=True)  # δ, the probability that the bound may fail
m = sp.Symbol("m", integer=True, positive=True)  # samples
n = sp.Symbol("n", integer=True, positive=True)  # weights
s = sp.Symbol("s", integer=True, nonnegative=True)  # non-zero weights, at most n
k = sp.Symbol("k", integer=True, positive=True)  # shared values, at most n
b = sp.Symbol("b", nonnegative=True)  # bits of a value
V = sp.Symbol("V", integer=True, positive=True)  # values that b bits can name, zero apart
L = sp.Symbol("L", nonnegative=True)  # |d(h)| bits
D = sp.Symbol("D", nonnegative=True)  # |d(g)| bits, g the map from weights to shared values
_j = sp.Symbol("j", integer=True, nonnegative=True)


def log2(x: sp.Expr) -> sp.Expr:
    """ln x / ln 2."""
    return sp.log(x) / sp.log(2)


MAPPING_BITS = s * log2(k * n) + 2 * log2(n)  # |d(g)| of the code that Theorem 2 offers
MAPPING_NATS = s * sp.log(k * n) + 2 * sp.log(n)  # the same where its logs are natural
DESCRIPTION_BITS = k * b + D + log2(n)  # of a whole net: the k values, the map, and k itself
MAPS = sp.binomial(n, s) * k**s  # maps with s non-zeros and k labels beside "value 0", in use or not
_ONTO = sp.Sum((-1) ** _j * sp.binomial(k, _j) * (k - _j) ** s, (_j, 0, k))  # k! S₂(s,k): s weights onto k labels
_ZERO_NET = sp.KroneckerDelta(k, 1) * sp.KroneckerDelta(s, 0)  # uses no label; charged k = 1
WEIGHT_VECTORS = sp.binomial(n, s) * _ONTO / sp.factorial(k) * sp.factorial(V) / sp.factorial(V - k)
"""C(n,s) S₂(s,k) V!/(V−k)!: weight vectors with s non-zeros and exactly k distinct non-zero values out of V."""


# The bounds, and the probability that they spend ----------------------------------------------------------------------


def theorem1(length: sp.Expr = L) -> sp.Expr:
    """q + sqrt((L + ln(2/δ)) / 2m), as printed. Source: paper, Theorem 1; Shalev-Shwartz & Ben-David 2014, Theorem 7.7.

    Bits stand where nats are needed. With `length` in nats, L ln 2, it is `occam_hoeffding` at δ/2, and the remaining
    factor 2 is the price of a two-sided statement of which one side is used.
    """
    return q + sp.sqrt((length + sp.log(2 / delta)) / (2 * m))


def theorem2(mapping: sp.Expr = D) -> sp.Expr:
    """q + sqrt((kb + |d(g)| + ln(2n/δ)) / 2m), as printed. Source: paper, Theorem 2."""
    return q + sp.sqrt((k * b + mapping + sp.log(2 * n / delta)) / (2 * m))


def occam_hoeffding(length: sp.Expr = L) -> sp.Expr:
    """q + sqrt((L ln 2 + ln(1/δ)) / 2m): Hoeffding's inequality at the level δ 2^−L, so that Σ_h spent ≤ δ exactly."""
    return q + sp.sqrt((length * sp.log(2) + sp.log(1 / delta)) / (2 * m))


def charged(bound: sp.Expr) -> sp.Expr:
    """2m (bound − q)², the nats under the root."""
    return sp.expand_log(sp.expand(2 * m * (bound - q) ** 2))


def spent(bound: sp.Expr) -> sp.Expr:
    """exp(−charged): what Hoeffding's inequality allows one hypothesis to fail with.

    >>> spent(occam_hoeffding())
    delta/2**L
    >>> spent(theorem1())
    delta*exp(-L)/2
    """
    return sp.simplify(sp.exp(-2 * m * (bound - q) ** 2))


@dataclass(frozen=True)
class Reduction:
    """Theorem 2 as an instance of Theorem 1, and why it is true all the same: see `reduction`."""

    length: sp.Expr  # theorem1(length) = theorem2()
    header_shortfall: sp.Expr  # bits by which that length is below `DESCRIPTION_BITS`
    nats_to_spare: sp.Expr  # what theorem2() charges beyond occam_hoeffding(DESCRIPTION_BITS)


def reduction() -> Reduction:
    """Theorem 2 is Theorem 1 for the code that names k, then the values, then the map: L = kb + |d(g)| + log n.

    The printed log(2n/δ) = ln n + ln(2/δ) adds the header's log2 n bits as ln n: theorem1(kb + D + ln n) = theorem2(),
    and this length is 0.44 ln n bits too short to be the code's, so that Theorem 1 *as printed* does not give Theorem 2
    as printed. Its tight form does: ln n nats are exactly log2 n bits, and charging kb + D bits as nats leaves
    (kb + D)(1 − ln 2) + ln 2 ≥ 0 nats to spare. (The code of `MAPPING_BITS` holds k as well, so the header pays twice.)
    """
    length = k * b + D + sp.log(n)
    tight = occam_hoeffding(DESCRIPTION_BITS)
    return Reduction(length, DESCRIPTION_BITS - length, sp.expand(charged(theorem2()) - charged(tight)))


# Kraft's inequality for the code of Theorem 2 -------------------------------------------------------------------------


def kraft_sum(words: sp.Expr = MAPS, length: sp.Expr = MAPPING_BITS) -> sp.Sum:
    """Σ_{k=1..n} Σ_{s=0..n} words · 2^−length, for `words` codewords of `length` bits at each (k, s).

    >>> [kraft_sum().subs(n, i).doit() for i in (1, 2, 3)]
    [2, 9/8, 64/81]
    """
    return sp.Sum(words * sp.simplify(2**-length), (s, 0, n), (k, 1, n))


def kraft_derivation() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Σ_k Σ_s C(n,s) k^s 2^−(s log2(kn) + 2 log2 n)  =  Σ_k (1 + 1/n)^n / n²  =  (1 + 1/n)^n / n, line by line.

    The first step cancels k^s and is the binomial theorem; the second notes that every k contributes the same. Since
    1 + x ≤ e^x the value is below e/n < 1 for n ≥ 3; at n = 1 and 2 it is 2 and 9/8, and no prefix-free code exists.

    >>> kraft_derivation()[-1]
    ((n + 1)/n)**n/n
    """
    each = sp.simplify(k**s * 2**-MAPPING_BITS)  # n^(−s−2)
    per_k = sp.simplify(sp.Sum(sp.binomial(n, s) * each * n**2, (s, 0, n)).doit()) / n**2
    return kraft_sum(), sp.Sum(per_k, (k, 1, n)), sp.Sum(per_k, (k, 1, n)).doit()


@dataclass(frozen=True)
class Reading:
    """A convention for what the code of Theorem 2 names, and the n from which s log2(kn) + 2 log2 n bits suffice."""

    name: str
    words: sp.Expr  # codewords at each (k, s); k ≥ 1, 0 ≤ s ≤ n
    least_n: int | None  # Kraft's sum is at most 1 for this n and every larger one, and for no smaller


READINGS = (
    Reading("every map into k labels beside zero", MAPS, 3),
    Reading("maps that use each of the k labels, and zero", sp.binomial(n, s) * _ONTO + _ZERO_NET, 2),
    Reading("zero is one of the k labels", sp.binomial(n, s) * (k - 1) ** s, 1),  # no word for n distinct non-zeros
    Reading("non-zeros listed in any order", sp.ff(n, s) * k**s, 3),
    Reading("any list of s entries, as the proof writes them", (k * n) ** s, None),  # (n+1)/n: s has n + 1 values
)
"""The first is the theorem's, and bounds.py's; from n = 3 on it is an upper bound on the next two.

The fourth fits as well, for the length pays for an order (see `Waste`): its sum is Σ_s n(n−1)…(n−s+1) / n^(s+1), whose
numbers n(n−1)…(n−s+1)/n^s fall with s, so that it is at most 1 − (2 − 7/n + 4/n²)/n ≤ 1 for n ≥ 3.
"""


def kraft_nats_floor() -> sp.Expr:
    """n^(1−2 ln 2) + n^(3−4 ln 2) / (2 − ln 2), a lower bound on Kraft's sum where the printed logs are natural.

    If `MAPPING_NATS` *bits* were enough, Σ_k n^(−2 ln 2) (1 + k^(1−ln 2) n^(−ln 2))^n would be at most 1. But
    (1+x)^n ≥ 1 + nx and Σ_k k^a ≥ n^(a+1)/(a+1) give this floor, above 1.6 for every n ≥ 1: in nats there is no code.
    """
    return n ** (1 - 2 * sp.log(2)) + n ** (3 - 4 * sp.log(2)) / (2 - sp.log(2))


def failure(mapping: sp.Expr = MAPPING_NATS) -> sp.Sum:
    """Σ spent(theorem2(mapping)) over all k ≤ n, values (2^kb of them) and maps: the printed theorem's risk of failing.

    With natural logs, its smallest reading, this is δ (1+1/n)^n / 2n³ · Σ_k (2/e)^kb ≤ δ (1+1/n)^n / 2n² ≤ δ for every
    n ≥ 1: the inequality holds even where its code does not exist, as the header and the factor 2 pay for the excess.

    >>> failure().subs({n: 1, b: 0}).doit()
    delta
    """
    return sp.Sum(MAPS * 2 ** (k * b) * spent(theorem2(mapping)), (s, 0, n), (k, 1, n))


# What is loose, and what is missing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waste:
    """Bits of Theorem 2's description beyond log2 of the number of weight vectors, each at least 0 for V ≤ 2^b."""

    order: sp.Expr  # the non-zeros are listed in one of s! orders
    names: sp.Expr  # the labels can be renamed in k! ways
    repeated_weights: sp.Expr  # the list could hold a weight twice
    unused_labels: sp.Expr  # a label could go unused
    repeated_values: sp.Expr  # two labels could share a value
    counts: sp.Expr  # s once and k twice, log2 n bits each

    def total(self) -> sp.Expr:
        """Their sum, DESCRIPTION_BITS − log2 WEIGHT_VECTORS at D = MAPPING_BITS."""
        return sp.Add(*(getattr(self, field.name) for field in fields(self)))


def waste() -> Waste:
    """Where kb + s log2(kn) + 3 log2 n exceeds log2 C(n,s) S₂(s,k) V!/(V−k)!, for 1 ≤ k ≤ s ≤ n and k ≤ V.

    Factor by factor, n^s k^s 2^kb = `WEIGHT_VECTORS` · s! · k! · n^s (n−s)!/n! · k^s / (k! S₂(s,k)) · 2^kb (V−k)!/V!.
    """
    return Waste(
        order=log2(sp.factorial(s)),
        names=log2(sp.factorial(k)),
        repeated_weights=log2(n**s * sp.factorial(n - s) / sp.factorial(n)),
        unused_labels=log2(k**s / _ONTO),
        repeated_values=k * b - log2(sp.factorial(V) / sp.factorial(V - k)),
        counts=3 * log2(n),
    )


@dataclass(frozen=True)
class Counterexample:
    """With `probability` the train loss is 0, while the true one is `true_loss`."""

    true_loss: sp.Expr
    probability: sp.Expr


def unbounded_loss(rarity: sp.Expr, scale: sp.Expr) -> Counterexample:
    """A loss that is B = `scale` with probability p = `rarity`, else 0, escapes Theorem 1 when B is large.

    Choose p < 1 − δ^(1/m) and B > theorem1() / p at q = 0: then theorem1() fails with probability (1 − p)^m > δ.
    """
    return Counterexample(rarity * scale, (1 - rarity) ** m)
