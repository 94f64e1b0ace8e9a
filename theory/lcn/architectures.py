"""What the architecture of a linear convolutional network alone tells: dimension, closure, and shorter equal networks.

Layers with equal step S (see `composition`) commute, so an architecture is a set of levels: for each distinct step T
the product g of its filters' polynomials, a form of degree d, in x^T. Over the reals a form of degree d is a product of
forms of degrees d_1 … d_n if and only if it has at least as many real roots, with multiplicity, as there are odd d_i,
that is filters of even size. Necessary: each form of odd degree has a real root. Sufficient: give one to each of them;
what is left to fill are even gaps, and what is left over are pairs of complex or of real roots.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from theory.lcn.composition import composed_size, layer_steps


@dataclass(frozen=True)
class Level:
    """The layers with one step.

    Attributes:
        step: T, the composition contains g(x^T).
        degree: d = Σ (k_i − 1) of its layers.
        even: the number of its filters of even size: g must have as many real roots, with multiplicity.
    """

    step: int
    degree: int
    even: int


@dataclass(frozen=True)
class Architecture:
    """Filter sizes k_1 … k_L and strides s_1 … s_L."""

    filter_sizes: tuple[int, ...]
    strides: tuple[int, ...]


def levels(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> tuple[Level, ...]:
    """Levels by ascending step; the one with step 1 is always there, others only with a degree above 0.

    Args:
        filter_sizes: k_1 … k_L, each at least 1.
        strides: as in `compose`.
    Raises: ValueError as in `layer_steps`.

    >>> levels((2, 4, 3), (1, 2, 1))
    (Level(step=1, degree=4, even=2), Level(step=2, degree=2, even=0))
    """
    steps = layer_steps(filter_sizes, strides)
    active = {1} | {step for step, size in zip(steps, filter_sizes, strict=True) if size > 1}
    sizes = {t: [k for k, step in zip(filter_sizes, steps, strict=True) if step == t] for t in sorted(active)}
    return tuple(Level(t, sum(k - 1 for k in ks), sum(k % 2 == 0 for k in ks)) for t, ks in sizes.items())


def dimension(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> int:
    """Dimension of the set M of all compositions, dim M = Σ k_i − (L − 1).

    Proof: up to scale P comes from ΠP^{k_i−1}, and a product of non-zero polynomials is not zero. So this is a morphism
    of projective varieties that pulls hyperplanes back to the ample class Σh_i; hence its fibres are finite, and the
    image has dimension Σ (k_i − 1). Over the reals: the Jacobian has the same generic rank.
    Source: arXiv 2108.01538, 2304.05752.

    >>> dimension((3, 2), (2, 1))
    4
    """
    layer_steps(filter_sizes, strides)
    return sum(filter_sizes) - (len(filter_sizes) - 1)


def is_full_dimensional(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> bool:
    """Whether M has an interior: dim M = k, that is (k_l − 1)(S_l − 1) = 0 for all l. Source: arXiv 2304.05752."""
    return composed_size(filter_sizes, strides) == dimension(filter_sizes, strides)


def is_filling(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> bool:
    """Whether M is everything: full-dimensional, and at most one filter size is even.

    Proof: k − 1 has the parity of the number e of even sizes, and so has the number of real roots. For e ≤ 1 there are
    hence e of them; for e ≥ 2 there are polynomials with e − 2. Source: arXiv 2108.01538.

    >>> is_filling((3, 2)), is_filling((2, 2))
    (True, False)
    """
    return is_full_dimensional(filter_sizes, strides) and sum(k % 2 == 0 for k in filter_sizes) <= 1


def is_zariski_closed(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> bool:
    """Whether M is an algebraic set: the real points of its complex variety.

    (In the usual topology M is always closed, for all strides: it is the cone over the image of the compact
    ΠRP^{k_i−1}, since no product of non-zero filters vanishes.)

    Exactly if each level (T_j, d_j, e_j) has e_j = 0, or e_j = 1 and Σ_{i<j} d_i T_i < T_j. At stride 1: at most one
    even size. Two layers with s_1 ≥ 2: k_2 odd or k_1 ≤ s_1 (not so for s_1 = 1, where (3, 2) is everything).

    Proof, in the terms of `function_space`. Let H_j be the largest form with H_j(x^{T_j}) | P.
    e_j ≥ 2: a generic product whose g_j has e_j − 2 real roots has deg H_i as small as possible, which forces the g_i.
    e_j = 1, room Σ_{i<j} d_i T_i ≥ T_j: give H_j degree d_j + 1 and no real root. The T_j roots too many find place in
    lower levels, as smaller orbits, filled from the top; the rest is generic. Level j has complex choices, no real one.
    e_j = 1 without room: deg H_j T_j ≤ deg P forces level j to take all that the higher levels leave, a real form of
    odd degree, which has a real root. Where e_j = 0 the degree is even: any choice closed under conjugation will do.

    >>> is_zariski_closed((2, 2), (2, 1)), is_zariski_closed((3, 2), (2, 1))
    (True, False)
    """
    parts = levels(filter_sizes, strides)
    room = [sum(p.degree * p.step for p in parts[:j]) for j in range(len(parts))]
    return all(p.even == 0 or (p.even == 1 and below < p.step) for p, below in zip(parts, room, strict=True))


def reduced(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> Architecture:
    """One layer for each level: neighbours with stride 1 merged, filters of size 1 absorbed.

    The variety stays the same; the function space may grow ((2, 2) becomes (3,)). A first layer of size 1 stays if it
    has a stride: it only skips inputs. The product of the strides, the network's own, stays too.
    Source: Kohn, Montúfar, Shahverdi, Trager, arXiv 2304.05752.

    >>> reduced((2, 1, 3, 2), (1, 1, 2, 1))
    Architecture(filter_sizes=(4, 2), strides=(2, 1))
    """
    return _architecture([(p.step, (p.degree + 1,)) for p in levels(filter_sizes, strides)], strides)


def normal_form(filter_sizes: Sequence[int], strides: Sequence[int] | None = None) -> Architecture:
    """The architecture with the fewest layers on each level and exactly the same function space.

    A level of degree d with e even sizes becomes (d − e + 2, 2, …, 2), e filters, or (d + 1,) for e = 0: its forms are
    those with at least e real roots in both cases.

    >>> normal_form((3, 2, 3, 2))
    Architecture(filter_sizes=(6, 2), strides=(1, 1))
    """
    sizes = [
        (p.step, (p.degree - p.even + 2,) + (2,) * (p.even - 1) if p.even else (p.degree + 1,))
        for p in levels(filter_sizes, strides)
    ]
    return _architecture(sizes, strides)


def _architecture(sizes: Sequence[tuple[int, tuple[int, ...]]], strides: Sequence[int] | None) -> Architecture:
    """The architecture with these filter sizes at these ascending steps, and the product of the given strides."""
    steps = [step for step, group in sizes for _ in group]
    steps.append(math.prod(strides) if strides is not None else 1)
    new_strides = tuple(after // before for before, after in itertools.pairwise(steps))
    return Architecture(tuple(k for _, group in sizes for k in group), new_strides)
