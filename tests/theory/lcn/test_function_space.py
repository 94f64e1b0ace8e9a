"""Membership: compositions are in it; known roots, brute force over one filter and the fibre decide alike."""

import itertools
from fractions import Fraction

import pytest
import sympy
from _filters import Network, Roots, cyclotomic, networks, product, rationals, rooted
from hypothesis import assume, example, given
from hypothesis import strategies as st

from theory.lcn.architectures import dimension, is_filling
from theory.lcn.composition import compose, composed_size
from theory.lcn.fibres import fibre
from theory.lcn.function_space import in_complex_variety, in_function_space, on_boundary
from theory.lcn.numeric import in_function_space_numeric

X = sympy.Symbol("x")
STRIDED = [
    ((2, 2), (2, 1)),
    ((3, 2), (2, 1)),
    ((2, 3), (2, 1)),
    ((4, 2), (3, 1)),
    ((2, 2, 2), (1, 2, 1)),
    ((3, 2, 2), (2, 2, 1)),
    ((2, 3, 2), (2, 1, 1)),
    ((3, 3, 2), (2, 2, 1)),
]


def filter_sizes(degree: int) -> st.SearchStrategy:
    """Sizes whose composition at stride 1 has this degree."""
    cuts = st.lists(st.integers(0, degree), max_size=degree).map(lambda c: sorted({0, degree, *c}))
    return cuts.map(lambda c: tuple(b - a + 1 for a, b in itertools.pairwise(c)) or (1,))


@given(networks())
def test_compositions_are_in_it(net: Network) -> None:
    composed = compose(net.filters, net.strides)
    assert in_function_space(composed, net.sizes, net.strides)
    assert in_complex_variety(composed, net.sizes, net.strides)


@given(rooted(), st.data())
def test_at_stride_one_real_roots_decide(form: Roots, data: st.DataObject) -> None:
    p = form.coefficients
    sizes = data.draw(filter_sizes(len(p) - 1))
    even = sum(k % 2 == 0 for k in sizes)
    real, odd = sum(form.real.values()), sum(m % 2 for m in form.real.values())
    assert in_function_space(p, sizes) == (real >= even)
    assert on_boundary(p, sizes) == (even - 2 >= odd and real >= even)
    assert in_complex_variety(p, sizes)
    assert is_filling(sizes) <= in_function_space(p, sizes)


@given(rooted(), st.data(), st.randoms())
def test_permuting_stride_one_layers_changes_nothing(form: Roots, data: st.DataObject, random) -> None:
    p = form.coefficients
    sizes = list(data.draw(filter_sizes(len(p) - 1)))
    shuffled = sizes.copy()
    random.shuffle(shuffled)
    for decide in (in_function_space, on_boundary, in_complex_variety):
        assert decide(p, sizes) == decide(p, shuffled)
    assert dimension(sizes) == dimension(shuffled)
    assert is_filling(sizes) == is_filling(shuffled)


def divisible(p: tuple, stride: int) -> bool:
    """P = p_1 · (a + b x^s) for some real (a, b) ≠ 0: the residues mod s have a real root in common."""
    residues = [sympy.Poly(p[a::stride][::-1], X) for a in range(stride)]
    shared = sympy.Poly(0, X)
    for residue in residues:
        shared = shared.gcd(residue)
    lengths = [len(p[a::stride]) for a in range(stride)]
    at_infinity = all(r.degree() < n - 1 for r, n in zip(residues, lengths, strict=True))
    return at_infinity or (shared.degree() > 0 and sympy.Poly(shared, X).count_roots() > 0)


@given(st.integers(3, 8).flatmap(cyclotomic), st.integers(2, 3))
@example((1, 0, 1), 2)  # x² + 1 = y + 1 at the real root −1 of y
@example(product([(4, 0, 1), (1, 1, 1)]), 2)
@example((1, 0, 1, 0, 1), 2)  # y² + y + 1 has no real root
@example((1, 0, 0, 1), 3)
def test_a_second_filter_of_size_two_against_brute_force(p: tuple, stride: int) -> None:
    assume(len(p) > stride)
    assert in_function_space(p, (len(p) - stride, 2), (stride, 1)) == divisible(p, stride)


@given(st.sampled_from(STRIDED), st.data())
def test_members_are_those_with_a_fibre(architecture: tuple, data: st.DataObject) -> None:
    p = data.draw(cyclotomic(composed_size(*architecture) - 1))
    assert in_function_space(p, *architecture) == (len(fibre(p, *architecture)) > 0)


@given(networks(entries=st.integers(-3, 3)))
def test_real_members_are_complex_members_and_not_the_other_way(net: Network) -> None:
    composed = list(compose(net.filters, net.strides))
    composed[0] += 1
    if in_function_space(composed, net.sizes, net.strides):
        assert in_complex_variety(composed, net.sizes, net.strides)


def test_worked_strided_examples() -> None:
    assert in_complex_variety((1, 0, 1, 0, 1), (3, 2), (2, 1))  # x⁴ + x² + 1: y² + y + 1 has no real root
    assert not in_function_space((1, 0, 1, 0, 1), (3, 2), (2, 1))
    assert in_function_space((1, 0, 1, 0, 1), (3, 3), (1, 1))
    assert in_function_space((-1, 0, 0, 0, 1), (3, 2), (2, 1))  # x⁴ − 1
    assert not in_complex_variety((1, 1, 1, 1, 2), (3, 2), (2, 1))


@given(rooted(most=6), st.data())
def test_near_the_boundary_some_leave_and_inside_none_do(form: Roots, data: st.DataObject) -> None:
    p = form.coefficients
    sizes = data.draw(filter_sizes(len(p) - 1))
    assume(in_function_space(p, sizes))
    if on_boundary(p, sizes):  # each double root becomes a complex pair: (a + bx)² → (a + bx)² + ε(b − ax)²
        epsilon, moved = Fraction(1, 10**12), []
        for (a, b), m in form.real.items():
            near = (a * a + epsilon * b * b, 2 * a * b * (1 - epsilon), b * b + epsilon * a * a)
            moved += [near] * (m // 2) + [(a, b)] * (m % 2)
        moved += [f for f, m in form.pairs.items() for _ in range(m)]
        assert not in_function_space(product(moved), sizes)
    else:
        shift = data.draw(st.lists(rationals, min_size=len(p), max_size=len(p)))
        epsilon = Fraction(1, 10**60)  # roots of multiplicity 6 move by 1e-10
        assert in_function_space([c + epsilon * d for c, d in zip(p, shift, strict=True)], sizes)


def test_zero() -> None:
    assert in_function_space((0, 0, 0), (2, 2))
    assert on_boundary((0, 0, 0), (2, 2))
    assert not on_boundary((0, 0, 0, 0), (3, 2))


@pytest.mark.parametrize(
    ("sizes", "strides"),
    [((2,) * 40, None), ((21, 21), None), ((11, 16, 2), (2, 1, 1)), ((9, 9, 9), (2, 1, 1)), ((13, 9, 4), (2, 2, 1))],
)
def test_degree_forty(sizes: tuple, strides: tuple | None) -> None:
    filters = [
        [Fraction((7 * i * i + 3 * a + 1) % 19 - 9, 1 + (a + i) % 20) for a in range(k)] for i, k in enumerate(sizes)
    ]
    composed = compose(filters, strides)
    assert len(composed) >= 41
    assert in_function_space(composed, sizes, strides)
    if strides is None:
        assert in_function_space([*composed[:-1], composed[-1] + 1], sizes) == (len(sizes) == 2)
    else:
        assert not in_complex_variety([*composed[:-1], composed[-1] + 1], sizes, strides)


@given(networks(entries=st.integers(-9, 9)))
def test_the_numeric_twin_accepts_rounded_compositions(net: Network) -> None:
    composed = compose([[c / 7 for c in w] for w in net.filters], net.strides)
    patterned = len({tuple(w) for w in net.filters}) == len(net.filters)
    assume(patterned and all(w[0] and w[-1] for w in net.filters))
    assert in_function_space_numeric(composed, net.sizes, net.strides, tolerance=1e-2)


def test_the_numeric_twin_refuses_others() -> None:
    assert not in_function_space_numeric((1.0, 1.0, 1.0), (2, 2))
    assert not in_function_space_numeric((1.0, 2.0, 1.0, 3.0), (2, 2), (2, 1))
    assert in_function_space_numeric((0.0, 0.0, 0.0), (2, 2))


def test_floats_are_the_rationals_they_are() -> None:
    assert in_function_space((0.25, 1.0, 1.0), (2, 2))
    assert not in_function_space(
        (0.09, 0.6, 1.0), (2, 2)
    )  # in decimals (x + 0.3)²; the float 0.6 is a little too small
    assert in_function_space((Fraction(9, 100), Fraction(6, 10), 1), (2, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1, 2), (2, 2)), r"^coefficients must be 3 for filter sizes \(2, 2\) and strides None, got 2"),
        (((1, 2, float("inf")), (2, 2)), r"^coefficients must be finite"),
        (((1, 2, "3"), (2, 2)), r"^coefficients must be finite"),
        (((1, 2, 3), (2, 2), (1, 0)), r"^strides must"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        in_function_space(*arguments)
