"""Algebra of pruning and sharing values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lcfs.certificates.coarsening import Coarsening, coarsen, prune, share

FLOATS = st.floats(-100, 100, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)


@given(arrays(np.float32, (5, 7), elements=FLOATS), st.floats(0.01, 1))
def test_pruning_keeps_the_largest(array: np.ndarray, density: float) -> None:
    pruned = prune(array, density)
    kept, gone = pruned != 0, (pruned == 0) & (array != 0)
    assert (pruned[kept] == array[kept]).all()
    assert not gone.any() or np.abs(array[gone]).max() < np.abs(array[kept]).min()
    assert kept.sum() >= round(density * np.count_nonzero(array))


@given(arrays(np.float32, (5, 7), elements=FLOATS), st.integers(1, 8))
def test_shared_values_are_few_exact_in_float16_and_near(array: np.ndarray, values: int) -> None:
    shared = share(array, values)
    found = np.unique(shared[shared != 0])
    assert len(found) <= values
    assert (found.astype(np.float16).astype(np.float32) == found).all()
    assert (shared[array == 0] == 0).all()
    assert ((shared - array)[array != 0] ** 2).sum() <= (array[array != 0] ** 2).sum() * 1.01, "no worse than zero"


def test_enough_values_change_nothing_but_the_precision() -> None:
    array = np.linspace(-1, 1, 64, dtype=np.float32)
    np.testing.assert_allclose(share(array, 256), array, rtol=2**-11)


def test_biases_are_not_pruned() -> None:
    net = {"w": np.arange(1, 11, dtype=np.float32).reshape(2, 5), "b": np.arange(1, 11, dtype=np.float32)}
    coarse = coarsen(net, Coarsening(density=0.2))
    assert np.count_nonzero(coarse["w"]) == 2
    assert (coarse["b"] == net["b"]).all()


@pytest.mark.parametrize("wrong", [{"density": 0.0}, {"density": 1.5}, {"value_bits": 17}, {"value_bits": -1}])
def test_out_of_range(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Coarsening(**wrong)
