"""Which polynomials a linear convolutional network can be: decided exactly over Q, for all strides, without roots.

Levels 1 = T_1 | T_2 | … with degrees d_j and e_j even filter sizes (see `architectures`): P ∈ M if and only if
P = Π g_j(x^{T_j}) with real forms g_j of degree d_j that have at least e_j real roots.

Think of the roots of P as leaves. A root y of g_j takes an orbit {x : x^{T_j} = y} of T_j leaves, and each orbit of
level i > j consists of T_i/T_j orbits of level j (0 and infinity are orbits of one point, T_j times). Let H_j be the
largest form with H_j(x^{T_j}) | P, the gcd of P's residues mod T_j: the multiplicity of y in H_j is how often its orbit
fits into P. What the higher levels take from an orbit of level j is the same at each of its leaves, so it lowers that
number by just as much; and it never exceeds it, as it fits into P. Hence, from the top down, every choice of roots
within what H_j has left can be made, and it matters to lower levels only through the kinds of the orbits chosen:

complex  P is a product of complex g_j if and only if deg H_j · T_j ≥ Σ_{i≥j} d_i T_i for all j.
real     Orbits y come in four kinds: pairs of complex ones, positive, negative, and 0 or infinity. An orbit of level i
         takes from level j, with n = T_i/T_j: y = 0, ∞: n times the same; n odd, y real: one of its kind, (n − 1)/2
         pairs; n even, y > 0: one positive, one negative, n/2 − 1 pairs; n even, y < 0: n/2 pairs; a pair: n pairs.
         Hence P ∈ M if and only if there are numbers of roots of each kind for each g_j, with sum d_j and at least e_j
         real ones, such that at no level more of a kind is taken than H_j has.

For two layers of stride s this is: G = H_2 has a real divisor of degree k_2 − 1, that is deg G ≥ k_2 − 1, and k_2 is
odd or G has a real root. (With e_1 ≤ 1 the first layer asks for nothing.) At stride 1: P has e real roots.
Sources: arXiv 2108.01538 (stride 1), 2304.05752 (strides); the criterion for more than two layers is proved here.
"""

import itertools
from collections.abc import Iterator, Sequence

from theory.lcn.architectures import Level, levels
from theory.lcn.composition import Coefficients, composed_size
from theory.lcn.forms import integer_form, residue_gcd
from theory.lcn.roots import root_multiplicities, root_pattern

Counts = tuple[int, int, int, int]  # of pairs, positive, negative, and 0 or infinity; with multiplicity


def in_function_space(
    coefficients: Coefficients, filter_sizes: Sequence[int], strides: Sequence[int] | None = None
) -> bool:
    """Whether P = compose(filters, strides) for some real filters of these sizes. Exact; necessary and sufficient.

    Args:
        coefficients: of P, [k] with k = composed_size(filter_sizes, strides), from low to high degree; ints, Fractions,
            or floats taken as the rationals they are. (With strides a rounded composition is almost never in M.)
        filter_sizes, strides: as in `compose`.
    Raises: ValueError for another number of coefficients, or one that is not finite.

    >>> in_function_space((1, 1, 1), (2, 2)), in_function_space((1, -1, -1), (2, 2))
    (False, True)
    >>> in_function_space((1, 2, 1, 2), (2, 2), (2, 1)), in_function_space((1, 2, 1, 3), (2, 2), (2, 1))
    (True, False)
    """
    form = _sized_form(coefficients, filter_sizes, strides)
    parts = levels(filter_sizes, strides)
    if not any(form):
        return True
    return can_be_shared(parts, {p.step: _counts(residue_gcd(form, p.step)) for p in parts})


def in_complex_variety(
    coefficients: Coefficients, filter_sizes: Sequence[int], strides: Sequence[int] | None = None
) -> bool:
    """Whether P = compose(filters, strides) for some complex filters: P lies in the Zariski closure of M. Exact.

    If and only if deg H_j · T_j ≥ Σ_{i≥j} d_i T_i for all levels j. Arguments and Raises as in `in_function_space`.

    >>> in_complex_variety((1, 1, 1), (2, 2)), in_complex_variety((1, 2, 1, 3), (2, 2), (2, 1))
    (True, False)
    """
    form = _sized_form(coefficients, filter_sizes, strides)
    parts = levels(filter_sizes, strides)
    needed = [sum(p.degree * p.step for p in parts[j:]) for j in range(len(parts))]
    return not any(form) or all(
        (len(residue_gcd(form, p.step)) - 1) * p.step >= least for p, least in zip(parts, needed, strict=True)
    )


def on_boundary(coefficients: Coefficients, filter_sizes: Sequence[int]) -> bool:
    """Whether P lies on the boundary of M, at stride 1: in M, with at most e − 2 real roots of odd multiplicity. Exact.

    e is the number of even filter sizes. The zero polynomial is on the boundary if e ≥ 2, as M is then a cone that is
    not everything; for e ≤ 1 there is no boundary at all.
    Proof: nearby polynomials keep a real root near each one of odd multiplicity, and some keep no other, for a root of
    multiplicity m can be split into ⌊m/2⌋ complex pairs and m mod 2 real roots. So P is a limit from outside M, of
    polynomials with fewer than e real roots, if and only if it has fewer, that is by parity at most e − 2, of these.
    Raises: ValueError as in `in_function_space`. Source: arXiv 2108.01538.

    >>> on_boundary((1, 2, 1), (2, 2)), on_boundary((1, 3, 2), (2, 2))
    (True, False)
    """
    form = _sized_form(coefficients, filter_sizes, None)
    even = sum(k % 2 == 0 for k in filter_sizes)
    if not any(form):
        return even >= 2
    real, _ = root_pattern(form)
    return sum(real) >= even and sum(m % 2 for m in real) <= even - 2


def _sized_form(
    coefficients: Coefficients, filter_sizes: Sequence[int], strides: Sequence[int] | None
) -> tuple[int, ...]:
    check_size(coefficients, filter_sizes, strides)
    return integer_form(coefficients)


def check_size(coefficients: Coefficients, filter_sizes: Sequence[int], strides: Sequence[int] | None) -> None:
    """Raises ValueError unless there are as many coefficients as a composition of these filters has."""
    size = composed_size(filter_sizes, strides)
    if len(coefficients) != size:
        raise ValueError(
            f"coefficients must be {size} for filter sizes {tuple(filter_sizes)} and strides "
            f"{None if strides is None else tuple(strides)}, got {len(coefficients)}"
        )


def _counts(form: tuple[int, ...]) -> Counts:
    found = root_multiplicities(form)
    return sum(found.pairs), sum(found.positive), sum(found.negative), found.zero + found.infinity


def can_be_shared(parts: Sequence[Level], available: dict[int, Counts]) -> bool:
    """Whether there are roots for all levels, chosen from the top down.

    Args:
        parts: the levels left, ascending.
        available: for each step the roots that H has, less what higher levels took.
    """
    *lower, top = parts
    for choice in _choices(top, available[top.step]):
        left = {p.step: _less(available[p.step], _taken(choice, top.step // p.step)) for p in lower}
        if all(min(counts) >= 0 for counts in left.values()) and (not lower or can_be_shared(lower, left)):
            return True
    return False


def _choices(level: Level, available: Counts) -> Iterator[Counts]:
    most = [range(min(n, level.degree) + 1) for n in available[1:]]
    for positive, negative, fixed in itertools.product(*most):
        real = positive + negative + fixed
        rest = level.degree - real
        if real >= level.even and rest % 2 == 0 and 0 <= rest <= 2 * available[0]:
            yield rest // 2, positive, negative, fixed


def _taken(choice: Counts, n: int) -> Counts:
    """What orbits take from a level whose orbits are n times smaller."""
    pairs, positive, negative, fixed = choice
    if n % 2:
        return n * pairs + (n - 1) // 2 * (positive + negative), positive, negative, n * fixed
    return n * pairs + (n // 2 - 1) * positive + n // 2 * negative, positive, positive, n * fixed


def _less(counts: Counts, taken: Counts) -> Counts:
    pairs, positive, negative, fixed = (a - b for a, b in zip(counts, taken, strict=True))
    return pairs, positive, negative, fixed
