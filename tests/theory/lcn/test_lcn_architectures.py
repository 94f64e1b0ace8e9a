"""What sizes and strides alone tell, against exact ranks and against membership."""

import random
from fractions import Fraction

import numpy as np
import pytest
from _filters import Network, cyclotomic, networks, product, rationals, rooted
from hypothesis import given
from hypothesis import strategies as st

from theory.lcn.architectures import (
    dimension,
    is_filling,
    is_full_dimensional,
    is_zariski_closed,
    levels,
    normal_form,
    reduced,
)
from theory.lcn.composition import compose, composed_size
from theory.lcn.function_space import in_complex_variety, in_function_space
from theory.lcn.jacobians import jacobian_rank

polynomials = st.lists(rationals, min_size=1, max_size=9)


def generic_rank(sizes: tuple, strides: tuple) -> int:
    """At a random integer point: exact, and generic but for a chance of about 1e-8."""
    rng = random.Random(0)
    return jacobian_rank([[rng.randint(-(10**9), 10**9) for _ in range(k)] for k in sizes], strides)


@given(networks())
def test_the_dimension_is_the_generic_rank(net: Network) -> None:
    assert dimension(net.sizes, net.strides) == generic_rank(net.sizes, net.strides)


@given(networks())
def test_full_dimensional_means_no_gap_on_any_level(net: Network) -> None:
    steps = np.cumprod([1, *net.strides])[:-1]
    thick = all((k - 1) * (step - 1) == 0 for k, step in zip(net.sizes, steps, strict=True))
    assert is_full_dimensional(net.sizes, net.strides) == thick


@given(networks(), st.data())
def test_filling_architectures_hold_everything(net: Network, data: st.DataObject) -> None:
    size = composed_size(net.sizes, net.strides)
    if is_filling(net.sizes, net.strides):
        assert in_function_space(data.draw(st.lists(rationals, min_size=size, max_size=size)), net.sizes, net.strides)
    elif is_full_dimensional(net.sizes, net.strides):
        even = sum(k % 2 == 0 for k in net.sizes)
        left_out = product([(0, 1)] * (even - 2) + [(1, 0, 1)] * ((size + 1 - even) // 2))
        assert len(left_out) == size
        assert not in_function_space(left_out, net.sizes, net.strides)
    else:
        generic = [Fraction(7 * i * i + 3, 11 + i) for i in range(size)]
        assert not in_complex_variety(generic, net.sizes, net.strides)


@given(networks(), st.data())
def test_shorter_forms_have_the_same_functions(net: Network, data: st.DataObject) -> None:
    normal, merged = normal_form(net.sizes, net.strides), reduced(net.sizes, net.strides)
    size = composed_size(net.sizes, net.strides)
    for shorter in (normal, merged):
        assert len(shorter.filter_sizes) <= len(net.sizes) + (net.sizes[0] == 1)
        assert composed_size(shorter.filter_sizes, shorter.strides) == size
        assert np.prod(shorter.strides) == np.prod(net.strides)
        assert dimension(shorter.filter_sizes, shorter.strides) == dimension(net.sizes, net.strides)
    for p in (compose(net.filters, net.strides), data.draw(cyclotomic(size - 1))):
        for decide, shorter in (
            (in_function_space, normal),
            (in_complex_variety, merged),
            (in_complex_variety, normal),
        ):
            assert decide(p, shorter.filter_sizes, shorter.strides) == decide(p, net.sizes, net.strides)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_the_normal_form_at_stride_one(sizes: list, data: st.DataObject) -> None:
    degree = composed_size(sizes) - 1
    p = data.draw(rooted(most=degree, least=degree)).coefficients
    shorter = normal_form(sizes)
    assert in_function_space(p, shorter.filter_sizes, shorter.strides) == in_function_space(p, sizes)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_at_stride_one_closed_means_filling(sizes: list) -> None:
    assert is_zariski_closed(sizes) == is_filling(sizes) == (sum(k % 2 == 0 for k in sizes) <= 1)


@given(st.integers(1, 6), st.integers(2, 5), st.integers(2, 4))
def test_two_strided_layers_are_closed_by_a_rule(first: int, second: int, stride: int) -> None:
    assert is_zariski_closed((first, second), (stride, 1)) == (second % 2 == 1 or first <= stride)


@given(networks(), st.data())
def test_closed_architectures_hold_the_real_points_of_their_variety(net: Network, data: st.DataObject) -> None:
    p = data.draw(cyclotomic(composed_size(net.sizes, net.strides) - 1))
    if is_zariski_closed(net.sizes, net.strides):
        assert in_complex_variety(p, net.sizes, net.strides) == in_function_space(p, net.sizes, net.strides)


@pytest.mark.parametrize(
    ("p", "sizes", "strides"),
    [
        ((1, 0, 1), (2, 2), None),
        ((1, 0, 1, 0, 1), (3, 2), (2, 1)),
        ((1, 0, 0, 1, 0, 0, 1), (4, 2), (3, 1)),
        (compose([(1, 3), (1, 0, 0, 0, 1)]), (2, 2, 2), (2, 1, 1)),
    ],
)
def test_open_ends_are_seen(p: tuple, sizes: tuple, strides: tuple | None) -> None:
    """Real points of the variety that only complex filters reach."""
    assert in_complex_variety(p, sizes, strides)
    assert not in_function_space(p, sizes, strides)
    assert not is_zariski_closed(sizes, strides)


def test_levels_gather_layers_with_one_step() -> None:
    assert [(p.step, p.degree, p.even) for p in levels((1, 2, 4, 1, 3), (2, 1, 3, 1, 5))] == [
        (1, 0, 0),
        (2, 4, 2),
        (6, 2, 0),
    ]


@pytest.mark.parametrize("of", [dimension, levels, is_filling, reduced, normal_form, is_zariski_closed])
def test_bad_architectures_are_named(of) -> None:
    with pytest.raises(ValueError, match=r"^filter_sizes must be non-empty"):
        of((2, 0))
    with pytest.raises(ValueError, match=r"^strides must be 2"):
        of((2, 2), (1, 2, 3))
