"""Composition against evaluation of the polynomials and against products of embedded convolution matrices."""

from fractions import Fraction

import numpy as np
import pytest
from _filters import Network, networks, product, rationals
from hypothesis import given
from hypothesis import strategies as st

from theory.lcn.composition import compose, composed_size, layer_steps
from theory.operators import Convolution

integers = st.integers(-9, 9)


@given(networks(), rationals)
def test_is_a_product_of_polynomials_in_powers(net: Network, x: Fraction) -> None:
    value, step = Fraction(1), 1
    for w, stride in zip(net.filters, net.strides, strict=True):
        value *= sum(c * x ** (step * i) for i, c in enumerate(w))
        step *= stride
    composed = compose(net.filters, net.strides)
    assert len(composed) == composed_size(net.sizes, net.strides)
    assert sum(c * x**i for i, c in enumerate(composed)) == value


@given(networks(entries=integers), st.integers(0, 6))
def test_is_the_filter_of_the_product_of_embedded_matrices(net: Network, extra: int) -> None:
    """Layer by layer with valid padding, against one convolution with the composed filter and the product stride."""
    image = (1, composed_size(net.sizes, net.strides) + extra)
    matrix = np.eye(image[1], dtype=int)
    for w, stride in zip(net.filters, net.strides, strict=True):
        layer = Convolution((1, len(matrix)), 1, len(w), stride=stride)
        matrix = layer.matrix(np.array(w).reshape(1, 1, -1)) @ matrix
    filters = np.array(compose(net.filters, net.strides)).reshape(1, 1, -1)
    whole = Convolution(image, 1, filters.size, stride=int(np.prod(net.strides)))
    assert (whole.matrix(filters) == matrix).all()


@given(networks())
def test_the_last_stride_does_not_matter(net: Network) -> None:
    assert compose(net.filters, net.strides) == compose(net.filters, net.strides[:-1])


@given(networks(), st.randoms())
def test_layers_without_strides_commute(net: Network, random) -> None:
    shuffled = net.filters.copy()
    random.shuffle(shuffled)
    assert compose(shuffled) == compose(net.filters) == product(net.filters)


def test_order_matters_with_strides() -> None:
    assert compose([(1, 2), (1, 3)], (2, 1)) != compose([(1, 3), (1, 2)], (2, 1))


def test_kinds_of_numbers_are_kept() -> None:
    assert compose([np.array([2**40, 1]), [2**40, 1]])[0] == 2**80
    assert all(isinstance(c, Fraction) for c in compose([[Fraction(1, 3)], [Fraction(1, 2), Fraction(2)]]))
    assert compose([[0.5, 1.0], [2.0]]) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("sizes", "strides", "message"),
    [
        ((), None, r"^filter_sizes must be non-empty"),
        ((2, 0), None, r"^filter_sizes must be non-empty"),
        ((2, 2), (1, 1, 1), r"^strides must be 2 \(or 1\)"),
        ((2, 2), (0, 1), r"^strides must be 2 \(or 1\)"),
    ],
)
def test_bad_architectures_are_named(sizes: tuple, strides: tuple | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer_steps(sizes, strides)


def test_a_matrix_is_no_filter() -> None:
    with pytest.raises(ValueError, match=r"^a filter must be one-dimensional, got 2"):
        compose([np.eye(2)])
