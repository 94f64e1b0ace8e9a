"""The Jacobian of the parametrization (w_1 … w_L) ↦ P, and exactly where its rank drops: the critical parameters.

Column a of block i is x^{a S_i} Π_{j≠i} p_j(x^{S_j}), so the image is Σ_i Π_{j≠i} p_j(x^{S_j}) · {r(x^{S_i}) :
deg r < k_i}. The scalings make the kernel at least (L − 1)-dimensional where no filter is zero: the rank is at most
`dimension`, and parameters of smaller rank are called critical. At a regular parameter the network's function space is
smooth as seen from there; at a critical one a loss can be stationary in the filters though not in P.
Polynomials are forms, with roots at infinity (see `forms`); floats are taken as the rationals they are.
Source: Kohn, Merkh, Montúfar, Trager, arXiv 2108.01538, for the statement at stride 1; the proofs are here.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sympy import ZZ
from sympy.polys.matrices import DomainMatrix

from theory.lcn.architectures import dimension
from theory.lcn.composition import Coefficients, compose, composed_size, layer_steps
from theory.lcn.forms import Form, form_gcd, integer_form, residue_gcd


def jacobian(filters: Sequence[Coefficients], strides: Sequence[int] | None = None) -> list[np.ndarray]:
    """Jacobian ∂P/∂w_i of each filter, [k, k_i]: column a is x^{a S_i} Π_{j≠i} p_j(x^{S_j}). Exact on Fractions, ints.

    Raises: ValueError as in `layer_steps`.
    """
    parts = [np.asarray(w).tolist() for w in filters]
    sizes = [len(w) for w in parts]
    blocks = []
    for i, (w, step) in enumerate(zip(parts, layer_steps(sizes, strides), strict=True)):
        others = np.array(compose([*parts[:i], [1], *parts[i + 1 :]], strides))
        kind = float if others.dtype == float else object  # Python's integers and Fractions stay exact
        block = np.zeros((composed_size(sizes, strides), len(w)), dtype=kind)
        for a in range(len(w)):
            block[a * step : a * step + len(others), a] = others
        blocks.append(block)
    return blocks


def jacobian_rank(filters: Sequence[Coefficients], strides: Sequence[int] | None = None) -> int:
    """The rank of the whole Jacobian, [k, Σk_i], exactly over Q by elimination: the ground truth for any strides.

    Args:
        filters: w_1 … w_L, ints, Fractions, or floats taken as the rationals they are. Zero filters are allowed.
        strides: as in `compose`.
    Raises: ValueError as in `layer_steps`, or for entries that are not finite.

    >>> jacobian_rank([(1, 1), (1, 2)]), jacobian_rank([(1, 1), (2, 2)])
    (3, 2)
    """
    integers = [integer_form(w) for w in filters]  # scaling a filter scales the columns of the others
    rows = np.concatenate(jacobian(integers, strides), axis=1)
    return DomainMatrix([[ZZ(x) for x in row] for row in rows.tolist()], rows.shape, ZZ).rank()


def is_critical_parameter(filters: Sequence[Coefficients], strides: Sequence[int] | None = None) -> bool:
    """Whether the rank is below `dimension`, its generic value. Exact; arguments and Raises as in `jacobian_rank`.

    At stride 1: if and only if two filters share a root (real, complex or infinite), or one is zero and another one is
    zero too or longer than 1.
    """
    return jacobian_rank(filters, strides) < dimension([len(w) for w in filters], strides)


def rank_at_stride_one(filters: Sequence[Coefficients]) -> int:
    """The rank at stride 1 without linear algebra: k − deg gcd_i(P/p_i) = k − Σ_r (m(r) − max_i m_i(r)).

    m_i(r) is the multiplicity of the root r in p_i, m = Σ m_i. The image is {multiples of G}, G = gcd_i(P/p_i).
    Proof. Coprime binary forms a, b span every form of degree t ≥ deg a + deg b − 1: the pairs with ra + sb = 0 are
    multiples of (b, −a), so the dimension is (t − deg a + 1) + (t − deg b + 1) − (t − deg a − deg b + 1) = t + 1.
    Hence (*) forms a, b with gcd g span all multiples of g of degree t ≥ deg a + deg b − deg g − 1.
    One filter: P/p_1 = 1 and the image is everything. L filters: let Q = p_2 ⋯ p_L and G' = gcd_{i≥2}(Q/p_i). By
    induction the image is p_1 · {multiples of G' of degree deg Q} + Q · {all forms of degree deg p_1}; with (*) these
    are the multiples of gcd(p_1 G', Q) = G of degree deg P, which is ≥ deg p_1 + deg G' + deg Q − deg G − 1, since G'
    divides both p_1 G' and Q and thus G. The degree of G is Σ_r min_i (m(r) − m_i(r)). If one filter is zero, P/p_i of
    the others is 0, and the formula holds with it left out of the gcd; if two are, the rank is 0.
    Raises: ValueError as in `jacobian_rank`. Source: arXiv 2108.01538 for the statement.

    >>> rank_at_stride_one([(1, 2, 1), (1, 1), (1, 1)])  # (x + 1)⁴, at most twice in one filter
    3
    """
    forms = [integer_form(w) for w in filters]
    size = composed_size([len(w) for w in forms])
    others = [compose([(1,), *forms[:i], *forms[i + 1 :]]) for i in range(len(forms))]
    if not any(map(any, others)):
        return 0
    return size - (len(form_gcd(others)) - 1)


@dataclass(frozen=True)
class HyperFactor:
    """A form q of degree ≥ 1 with q(x^step) | p_lower(x^{S_lower}) and q(x^step) | p_upper(x^{S_upper}), the largest.

    Attributes:
        lower, upper: numbers of two layers, from 0, lower < upper.
        step: S_upper.
        form: q, primitive integers from low to high degree.
    """

    lower: int
    upper: int
    step: int
    form: Form


def hyper_factors(filters: Sequence[Coefficients], strides: Sequence[int] | None = None) -> tuple[HyperFactor, ...]:
    """The factors that pairs of layers share as polynomials in the same x^S: each certifies a critical parameter.

    If p_i = q(x^{S_j/S_i}) a and p_j = q b, then δp_i = r(x^{S_j/S_i}) a, δp_j = −r b leaves P unchanged in first order
    for every r of q's degree: a kernel of dimension deg q + 1 in which only r ∝ q is a scaling. So
    rank ≤ dimension − deg q. For two layers this is an equality (`rank_of_two_layers`). For more it is sufficient only:
    (x² + 1), (x² − 1), (x⁴ − 1) as filters (1, 0, 1), (−1, 1), (−1, 1) at strides 2, 2 share nothing in pairs, yet
    −½(x² − 1) + ½(x² + 1) = 1 turns into a kernel vector, and the rank is 4 of 5.

    Args:
        filters: none of them zero.
        strides: as in `compose`.
    Returns: one entry for each pair of layers that shares a factor, in lexicographic order.
    Raises: ValueError as in `jacobian_rank`, or for a zero filter.

    >>> hyper_factors([(1, 0, 1), (3, 3)], (2, 1))  # x² + 1 and 3(x² + 1)
    (HyperFactor(lower=0, upper=1, step=2, form=(1, 1)),)
    """
    forms = [_nonzero(w) for w in filters]
    steps = layer_steps([len(w) for w in forms], strides)
    found = []
    for i, j in itertools.combinations(range(len(forms)), 2):
        shared = form_gcd([residue_gcd(forms[i], steps[j] // steps[i]), forms[j]])
        if len(shared) > 1:
            found.append(HyperFactor(i, j, steps[j], shared))
    return tuple(found)


def rank_of_two_layers(first: Coefficients, second: Coefficients, stride: int = 1) -> int:
    """The rank for filters p, q and P = p(x) q(x^s): k_1 + k_2 − 1 − deg h, with their shared hyper-factor h.

    h = gcd(H, q) for the largest H with H(x^s) | p. Proof. Let p = h(x^s) a and q = h b. A kernel vector (α, β) has
    α b(x^s) = −a β(x^s); compare the residues mod s: α_c b = −a_c β for all c < s. The gcd of the a_c is H/h, coprime
    to b = q/h. So b divides β: β = b r, and then α = −r(x^s) a with any r of degree deg h: deg h + 1 dimensions of
    k_1 + k_2. If one filter is zero the image is all multiples of the other: the rank is the size of the zero one.
    Raises: ValueError as in `jacobian_rank`, or for a stride below 1.
    """
    forms = integer_form(first), integer_form(second)
    if not all(map(any, forms)):
        return sum(len(w) for w, other in (forms, forms[::-1]) if any(other) and not any(w))
    shared = sum(len(factor.form) - 1 for factor in hyper_factors(forms, (stride, 1)))
    return len(forms[0]) + len(forms[1]) - 1 - shared


def _nonzero(w: Coefficients) -> Form:
    form = integer_form(w)
    if not any(form):
        raise ValueError("a filter is zero and shares every factor; hyper_factors takes filters that are not zero")
    return form
