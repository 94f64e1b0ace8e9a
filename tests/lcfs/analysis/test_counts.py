"""Reference: counts of a state dict against numpy's on whole arrays."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lcfs.analysis import histograms, patterns
from lcfs.analysis.counts import nonzeros, summarize_state
from lcfs.errors import InputError
from theory.languages.lengths import kt_support


def _reference(*arrays: np.ndarray) -> int:
    values = np.unique(np.concatenate([array.ravel() for array in arrays]))
    return int((values != 0).sum())


def _arrangement_bits(*arrays: np.ndarray) -> float:
    whole = np.concatenate([array.ravel() for array in arrays])
    counts = np.unique(whole[whole != 0], return_counts=True)[1].tolist()
    return (math.lgamma(sum(counts) + 1) - sum(math.lgamma(count + 1) for count in counts)) / math.log(2)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 400),
    st.integers(1, 60),
    st.integers(1, 100),
    st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int32, np.int64]),
)
def test_values_do_not_depend_on_pieces_and_merges(seed: int, size: int, values: int, piece: int, dtype: type) -> None:
    generator = np.random.default_rng(seed)
    codebook = np.concatenate([[0.0, -0.0], 9 * generator.standard_normal(values)]).astype(dtype)
    arrays = [generator.choice(codebook, n) for n in (size, size // 2 + 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "PIECE", piece)
        patch.setattr(histograms, "MOST_DISTINCT", 2 * values + 4)
        summary = summarize_state({str(i): torch.from_numpy(array) for i, array in enumerate(arrays)})
    for found, parts in [*zip(summary.tensors, ([array] for array in arrays), strict=True), (None, arrays)]:
        counted = found.values if found else summary.types[0]
        assert counted.distinct == _reference(*parts)
        assert counted.arrangement_bits == pytest.approx(_arrangement_bits(*parts), rel=1e-9, abs=1e-9)
        assert counted.nonzeros == sum(int((part != 0).sum()) for part in parts)
        assert counted.high_arrangement_bits <= counted.arrangement_bits * (1 + 1e-12) + 1e-9


@given(st.integers(0, 2**32 - 1), st.sampled_from([torch.float32, torch.float64]))
def test_too_many_values_are_given_up_and_the_upper_halves_are_not(seed: int, dtype: torch.dtype) -> None:
    tensor = torch.randn(500, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "PIECE", 64)
        patch.setattr(histograms, "MOST_DISTINCT", 100)
        (values,) = summarize_state({"w": tensor, "b": torch.ones(1, dtype=dtype)}).types
    assert values.distinct is None
    assert values.arrangement_bits is None
    width = 32 if dtype == torch.float32 else 64
    unsigned = torch.cat((tensor, torch.ones(1, dtype=dtype))).numpy().view(f"u{width // 8}")
    assert values.high_arrangement_bits == pytest.approx(_arrangement_bits(unsigned >> (width - 16)), rel=1e-9)


def test_progress_ends_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "PIECE", 10)
    seen: list[float] = []
    summarize_state({"w": torch.randn(100), "v": torch.randn(50)}, on_progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 17
    assert seen[-1] == 1


def test_roles_and_totals() -> None:
    state = {
        "conv1.weight": torch.tensor([[1.0, 0.0], [2.0, 2.0]]),
        "norm1.weight": torch.tensor([1.0, 3.0]),
        "norm1.running_mean": torch.tensor([0.0, 4.0]),
        "norm1.num_batches_tracked": torch.tensor(7),
    }
    summary = summarize_state(state)
    assert [row.role for row in summary.tensors] == ["weight", "vector", "buffer", "constant"]
    assert [row.values.nonzeros for row in summary.tensors] == [3, 2, 1, 1]
    assert [row.values.distinct for row in summary.tensors] == [2, 2, 1, None]
    # everything a decoder needs: biases and running statistics too, but not the counter
    assert (summary.weights, summary.nonzeros, summary.distinct_values, summary.dense_bits) == (8, 6, 4, 256)
    assert nonzeros(state) == {"conv1.weight": 3}


def test_without_distinct_values_nothing_is_sorted() -> None:
    summary = summarize_state({"w": torch.ones(2, 2)}, distinct=False)
    assert summary.distinct_values is None
    assert summary.tensors[0].values.distinct is None


def test_a_state_of_constants_and_an_empty_tensor() -> None:
    assert summarize_state({"bn.num_batches_tracked": torch.tensor(3)}).weights == 0
    summary = summarize_state({"w": torch.empty(0, 3)})
    assert (summary.weights, summary.distinct_values) == (0, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2fnuz])
def test_what_is_no_number_is_refused_by_name(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[1.0, float("nan")], [float("nan"), 0.0]]).to(dtype)
    with pytest.raises(InputError, match=r"'fc\.weight' has 2 entries that are not a number"):
        summarize_state({"fc.weight": tensor})


def test_an_infinite_mask_is_a_value_like_others() -> None:
    (row,) = summarize_state({"mask": torch.full((4, 4), float("-inf")).triu(1)}).tensors
    assert (row.values.nonzeros, row.values.distinct) == (6, 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 25), st.integers(1, 40))
def test_the_support_is_priced_by_row_or_as_a_whole(seed: int, rows: int, width: int, piece: int) -> None:
    generator = np.random.default_rng(seed)
    density = generator.random((rows, 1)) ** 3
    array = (generator.random((rows, width)) < density).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "PIECE", piece)
        (row,) = summarize_state({"w": torch.from_numpy(array)}, distinct=False).tensors
    by_row = kt_support(np.full(rows, width), array.sum(1))
    whole = kt_support(np.array([array.size]), np.array([array.sum()]))
    assert row.support_bits == pytest.approx(1 + min(by_row, whole), rel=1e-12)
    assert row.values.nonzeros == array.sum()
