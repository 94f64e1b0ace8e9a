"""Random rational filters and binary forms with known roots. Nothing here calls the library: beartype draws random
numbers, which Hypothesis would take for its own."""

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import strategies as st

rationals = st.fractions(min_value=-3, max_value=3, max_denominator=20)
nonzero = rationals.filter(bool)


def product(factors: list) -> tuple:
    """The coefficients of the product, low to high, as forms: vanishing leading ones stay."""
    out = [1]
    for factor in factors:
        longer = [0] * (len(out) + len(factor) - 1)
        for i, a in enumerate(out):
            for j, b in enumerate(factor):
                longer[i + j] += a * b
        out = longer
    return tuple(out)


@dataclass(frozen=True)
class Network:
    """Filters with their strides; at most degree 8."""

    filters: list
    strides: tuple

    @property
    def sizes(self) -> tuple:
        return tuple(len(w) for w in self.filters)


@st.composite
def networks(draw: st.DrawFn, entries: st.SearchStrategy = rationals, most_layers: int = 4) -> Network:
    """One to four layers with strides 1 to 3, of composed degree at most 8."""
    left, step, sizes, strides = 8, 1, [], []
    for _ in range(draw(st.integers(1, most_layers))):
        size = draw(st.integers(1, 1 + min(left // step, 4)))
        stride = draw(st.integers(1, 3))
        left -= (size - 1) * step
        step *= stride
        sizes.append(size)
        strides.append(stride)
    return Network([draw(st.lists(entries, min_size=k, max_size=k)) for k in sizes], tuple(strides))


@dataclass(frozen=True)
class Roots:
    """A form given by its distinct roots: factors of degree 1 or 2 over Q with multiplicities."""

    real: dict
    pairs: dict

    @property
    def coefficients(self) -> tuple:
        chosen = [f for f, m in [*self.real.items(), *self.pairs.items()] for _ in range(m)]
        return product([[Fraction(2, 3)], *chosen])

    @property
    def pattern(self) -> tuple:
        return tuple(tuple(sorted(d.values(), reverse=True)) for d in (self.real, self.pairs))


LINEAR = [(-a, 1) for a in (Fraction(0), Fraction(1), Fraction(-1), Fraction(5, 3), Fraction(-7, 20))] + [(1, 0)]
QUADRATIC = [(a * a + b * b, -2 * a, 1) for a, b in ((0, 1), (0, Fraction(1, 3)), (1, 1), (Fraction(-3, 2), 2))]


@st.composite
def rooted(draw: st.DrawFn, most: int = 8, least: int = 0) -> Roots:
    """A form of degree between `least` and `most` with known root pattern, often with repeated roots."""
    degree = draw(st.integers(least, most))
    pairs = draw(st.integers(0, degree // 2))
    chosen = [
        draw(st.lists(st.sampled_from(pool), min_size=n, max_size=n))
        for pool, n in ((LINEAR, degree - 2 * pairs), (QUADRATIC, pairs))
    ]
    return Roots(*({f: kind.count(f) for f in dict.fromkeys(kind)} for kind in chosen))


SPECIAL = [(-1, 1), (1, 1), (0, 1), (1, 0), (-2, 1), (1, 0, 1), (1, 1, 1), (1, -1, 1), (4, 0, 1), (-1, 0, 1)]


@st.composite
def cyclotomic(draw: st.DrawFn, degree: int) -> tuple:
    """A form of this degree from few factors, among them all of x² − 1, x⁴ − 1 and x³ ± 1: orbits occur often."""
    factors = []
    while degree:
        factors.append(draw(st.sampled_from([f for f in SPECIAL if len(f) - 1 <= degree])))
        degree -= len(factors[-1]) - 1
    return product(factors)
