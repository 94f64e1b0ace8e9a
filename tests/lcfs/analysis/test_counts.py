"""Reference: counts of a state dict against numpy's on whole arrays."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lcfs.analysis import counts as counting
from lcfs.analysis.counts import count_values, distinct_values, nonzeros, summarize_state
from lcfs.errors import InputError
from theory.languages.lengths import kt_support


def _reference(*arrays: np.ndarray) -> int:
    values = np.unique(np.concatenate([array.ravel() for array in arrays]))
    return int((values != 0).sum())


def _arrangement_bits(*arrays: np.ndarray) -> float:
    whole = np.concatenate([array.ravel() for array in arrays])
    counts = np.unique(whole[whole != 0], return_counts=True)[1].tolist()
    return (math.lgamma(sum(counts) + 1) - sum(math.lgamma(count + 1) for count in counts)) / math.log(2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 60), st.integers(1, 30))
def test_distinct_values_do_not_depend_on_the_intervals(seed: int, size: int, values: int, interval: int) -> None:
    generator = np.random.default_rng(seed)
    codebook = np.concatenate([[0.0, -0.0], generator.standard_normal(values).astype(np.float32)])
    arrays = [generator.choice(codebook, n).astype(np.float32) for n in (size, size // 2 + 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_INTERVAL", interval)
        patch.setattr(counting, "_PIECE", 7)
        patch.setattr(counting, "_SAMPLE", 20)
        counts, total = count_values([torch.from_numpy(array) for array in arrays])
    for found, parts in [*zip(counts, ([array] for array in arrays), strict=True), (total, arrays)]:
        assert found.distinct == _reference(*parts)
        assert found.arrangement_bits == pytest.approx(_arrangement_bits(*parts), rel=1e-9, abs=1e-9)


def test_progress_ends_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_INTERVAL", 10)
    seen: list[float] = []
    count_values([torch.randn(100)], seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 10
    assert seen[-1] == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_distinct_values_of_other_types(dtype: torch.dtype) -> None:
    tensor = torch.tensor([0.0, -0.0, 1.0, 1.0, -1.0, 0.1], dtype=dtype)
    assert distinct_values(tensor) == 3


def test_a_nan_has_no_distinct_values() -> None:
    with pytest.raises(ValueError, match="NaN"):
        distinct_values(torch.tensor([1.0, float("nan")]))


def test_roles_and_totals() -> None:
    state = {
        "conv1.weight": torch.tensor([[1.0, 0.0], [2.0, 2.0]]),
        "norm1.weight": torch.tensor([1.0, 3.0]),
        "norm1.running_mean": torch.tensor([0.0, 4.0]),
        "norm1.num_batches_tracked": torch.tensor(7),
    }
    summary = summarize_state(state)
    assert [row.role for row in summary.tensors] == ["weight", "vector", "buffer", "counter"]
    assert [row.nonzeros for row in summary.tensors] == [3, 2, 1, 1]
    assert [row.distinct for row in summary.tensors] == [2, 2, 1, None]
    # everything a decoder needs: biases and running statistics too, but not the counter
    assert (summary.weights, summary.nonzeros, summary.distinct_values, summary.value_bits) == (8, 6, 4, 32)
    assert nonzeros(state) == {"conv1.weight": 3}


def test_without_distinct_values_nothing_is_sorted() -> None:
    summary = summarize_state({"w": torch.ones(2, 2)}, distinct=False)
    assert summary.distinct_values is None
    assert summary.tensors[0].distinct is None


def test_a_state_without_floats_and_an_empty_tensor() -> None:
    assert summarize_state({"steps": torch.tensor(3)}).weights == 0
    summary = summarize_state({"w": torch.empty(0, 3)})
    assert (summary.weights, summary.distinct_values) == (0, 0)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_diverged_net_is_refused_by_name(value: float) -> None:
    with pytest.raises(InputError, match=r"fc\.weight has 2 entries"):
        summarize_state({"fc.weight": torch.tensor([[1.0, value], [value, 0.0]])})


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 25), st.integers(1, 40))
def test_the_support_is_priced_by_row_or_as_a_whole(seed: int, rows: int, width: int, piece: int) -> None:
    generator = np.random.default_rng(seed)
    density = generator.random((rows, 1)) ** 3
    array = (generator.random((rows, width)) < density).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_PIECE", piece)
        (row,) = summarize_state({"w": torch.from_numpy(array)}, distinct=False).tensors
    by_row = kt_support(np.full(rows, width), array.sum(1))
    whole = kt_support(np.array([array.size]), np.array([array.sum()]))
    assert row.support_bits == pytest.approx(1 + min(by_row, whole), rel=1e-12)
    assert row.nonzeros == array.sum()
