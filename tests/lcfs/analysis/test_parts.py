"""Reference: every number is spelled out once, in its own width, and what is free says why."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from lcfs.analysis.counts import StateSummary, summarize_state


def _spelled(summary: StateSummary) -> dict[str, tuple[str, int, int]]:
    """(type, numbers, non-zeros) of each tensor that is spelled out."""
    return {
        row.name: (row.values.type, row.values.count, row.values.nonzeros) for row in summary.tensors if not row.free
    }


def _free(summary: StateSummary) -> dict[str, str]:
    return {row.name: row.note for row in summary.tensors if row.free}


def test_integers_are_numbers_of_the_net() -> None:
    """int8 weights with float scales: the weights are most of the net."""
    state = {"w": torch.randint(-128, 128, (64, 64), dtype=torch.int8), "scale": torch.ones(64)}
    assert summarize_state(state).dense_bits == 64 * 64 * 8 + 64 * 32


@pytest.mark.parametrize(
    ("name", "tensor", "free"),
    [
        ("bn.num_batches_tracked", torch.tensor(5), True),
        ("bn.num_batches_tracked", torch.arange(5), False),
        ("embeddings.position_ids", torch.arange(512).expand(1, -1), True),
        ("embeddings.position_ids", torch.arange(512).flip(0), False),
        ("columns", torch.arange(512), False),
        ("starts", torch.tensor([0, 3, 7]), False),
    ],
)
def test_only_constants_of_the_architecture_are_free(name: str, tensor: Tensor, free: bool) -> None:
    assert bool(_free(summarize_state({name: tensor}))) is free


def test_types_are_charged_their_own_width() -> None:
    state = {"w": torch.ones(1000, dtype=torch.float16), "scalar": torch.ones((), dtype=torch.float64)}
    summary = summarize_state({**state, "flag": torch.ones(3, dtype=torch.bool)})
    assert summary.dense_bits == 1000 * 16 + 64 + 3
    assert summarize_state({"z": torch.ones(5, dtype=torch.complex64)}).dense_bits == 5 * 64


def test_a_pruned_net_is_one_sparse_tensor() -> None:
    layer = nn.Linear(30, 20)
    prune.l1_unstructured(layer, "weight", amount=0.9)
    assert _spelled(summarize_state(layer.state_dict())) == {
        "bias": ("float32", 20, 20),
        "weight": ("float32", 600, 60),
    }


def test_a_bool_mask_is_the_support_and_another_tensor_is_not() -> None:
    weight, mask = torch.randn(4, 4), torch.eye(4, dtype=torch.bool)
    assert _spelled(summarize_state({"fc.weight": weight, "fc.mask": mask})) == {"fc.weight": ("float32", 16, 4)}
    assert len(_spelled(summarize_state({"fc.weight": weight, "fc.mask": mask[:2]}))) == 2
    assert len(_spelled(summarize_state({"w_orig": weight, "w_mask": 2 * torch.ones(4, 4)}))) == 2


def test_ties_views_and_copies_count_once() -> None:
    weight = torch.randn(16, 8)
    state = {
        "embed": weight,
        "head": weight,
        "transposed": weight.t(),
        "rows": weight[4:9],
        "copy": weight.clone(),
        "zeros": torch.zeros(16, 8),
        "more_zeros": torch.zeros(16, 8),
    }
    assert _spelled(summarize_state(state)).keys() == {"embed", "zeros", "more_zeros"}
    assert _free(summarize_state(state)) == {
        **dict.fromkeys(("head", "transposed", "rows"), "the memory of embed"),
        "copy": "the same numbers as embed",
    }


def test_parts_of_one_storage_that_overlap_a_little_are_both_spelled_out() -> None:
    storage = torch.randn(100)
    assert len(_spelled(summarize_state({"a": storage[:60], "b": storage[40:]}))) == 2


def test_expanded_numbers_count_once() -> None:
    assert _spelled(summarize_state({"w": torch.ones(3, 1).expand(3, 50)})) == {"w": ("float32", 3, 3)}


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_count_like_dense_ones(layout: torch.layout) -> None:
    dense = torch.randn(40, 30) * (torch.rand(40, 30) < 0.1)
    (sparse,) = summarize_state({"w": dense.to_sparse(layout=layout)}).tensors
    assert sparse == summarize_state({"w": dense}).tensors[0]


def test_a_sparse_tensor_is_never_made_dense() -> None:
    places = torch.tensor([[0, 999_999, 0], [5, 999_999, 5]])
    tensor = torch.sparse_coo_tensor(places, torch.tensor([1.0, 2.0, -1.0]), (10**6, 10**6), check_invariants=True)
    (row,) = summarize_state({"w": tensor}).tensors
    assert (row.values.count, row.values.nonzeros) == (10**12, 1)  # two entries at one place cancel


def test_packed_integers_are_taken_apart() -> None:
    """GPTQ: eight numbers of 4 bits in an int32; bitsandbytes: two in a byte."""
    words = torch.tensor([0x76543210, 0x00000007], dtype=torch.int32)
    summary = summarize_state({"l.qweight": words, "l.scales": torch.ones(1)})
    assert _spelled(summary)["l.qweight"] == ("int4", 16, 8)
    summary = summarize_state({"w": torch.tensor([[0x21], [0x03]], dtype=torch.uint8), "w.absmax": torch.ones(1)})
    assert _spelled(summary)["w"] == ("int4", 4, 3)
    assert _spelled(summarize_state({"l.qweight": words}))["l.qweight"] == ("int32", 2, 2)
