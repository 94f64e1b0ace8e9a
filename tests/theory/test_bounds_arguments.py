"""Surface: a value out of range is refused in a sentence that begins with its name."""

import math

import pytest

from theory import binomial, bounds

OCCAM = (bounds.theorem1, bounds.occam_hoeffding, bounds.occam_kl, bounds.catoni)


@pytest.mark.parametrize("bound", OCCAM)
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((-0.1, 10.0, 100, 0.05), "train_error"),
        ((1.1, 10.0, 100, 0.05), "train_error"),
        ((math.nan, 10.0, 100, 0.05), "train_error"),
        ((0.1, -1.0, 100, 0.05), "description_bits"),
        ((0.1, math.inf, 100, 0.05), "description_bits"),
        ((0.1, math.nan, 100, 0.05), "description_bits"),
        ((0.1, 10.0, 0, 0.05), "samples"),
        ((0.1, 10.0, 100, 0.0), "delta"),
        ((0.1, 10.0, 100, 1.0), "delta"),
        ((0.1, 10.0, 100, math.nan), "delta"),
    ],
)
def test_invalid_arguments_are_named(bound, arguments: tuple, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        bound(*arguments)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: bounds.occam_binomial(11, 0.0, 10), "errors"),
        (lambda: bounds.occam_binomial(-1, 0.0, 10), "errors"),
        (lambda: bounds.occam_binomial(0, 0.0, 0), "samples"),
        (lambda: bounds.occam_binomial(1, math.nan, 10), "description_bits"),
        (lambda: bounds.test_set_bound(1, 10, 2.0), "delta"),
        (lambda: bounds.catoni(0.1, 10.0, 100, a=0.0), "a"),
        (lambda: binomial.kl(1.5, 0.5), "q and p"),
        (lambda: binomial.kl_inverse(-0.5, 0.5), "q"),
        (lambda: binomial.kl_inverse(0.5, math.nan), "c"),
        (lambda: bounds.theorem2_mapping_bits(5, 1, 4), "nonzeros"),
        (lambda: bounds.theorem2_mapping_bits(1, 0, 4), "shared_values"),
        (
            lambda: bounds.theorem2(0.1, shared_values=1, value_bits=8, mapping_bits=-1, weights=4, samples=10),
            "mapping_bits",
        ),
        (
            lambda: bounds.theorem2(0.1, shared_values=1, value_bits=8, mapping_bits=1, weights=0, samples=10),
            "weights",
        ),
    ],
)
def test_other_invalid_arguments_are_named(call, name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        call()
