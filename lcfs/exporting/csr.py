"""A linear layer with a sparse matrix (CSR) for inference on a CPU, and when it is the faster one."""

import math
import warnings
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lcfs.nets.layers import LocallyConnected

MOST_DENSITY = 1 / 8
"""CSR is used up to this density. Measured by `benchmarks.sparse_inference`: at batch 1 it wins up to about 1/3, at
batch 128 up to about 1/6."""
LEAST_WEIGHTS = 1 << 14
"""Below, a dense product takes less than the call of a sparse one."""
BLOCK = 4096
"""Columns of a block, whose part of x stays in the cache: 1.7 times faster than one CSR matrix for the 38,400 inputs of
S-FC's second layer at α = 150 and batch 1, 4 times at batch 128."""

with warnings.catch_warnings():  # torch says once that its CSR is in beta; the tests of this package cover what we use
    warnings.simplefilter("ignore", UserWarning)
    torch.eye(1).to_sparse_csr()


class CsrLinear(nn.Module):
    """y = W x + bias, with W in blocks of `BLOCK` columns, each by rows (CSR).

    Row i of block b holds `values[j]` at column b · BLOCK + `columns[j]` for j from `starts[b · outputs + i]` up to the
    next start.

    Args:
        inputs, outputs: columns and rows of W.
        entries: stored entries of W.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int, entries: int) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        # 32 bits: half the memory traffic, and what MKL takes without a copy
        self.register_buffer("starts", torch.zeros(_blocks(inputs) * outputs + 1, dtype=torch.int32))
        self.register_buffer("columns", torch.zeros(entries, dtype=torch.int32))
        self.register_buffer("values", torch.zeros(entries))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """`[B, inputs]` → `[B, outputs]`."""
        parts = zip(self._matrices(), x.split(BLOCK, 1), strict=True)
        if len(x) == 1 and torch.backends.mkl.is_available():
            y = self.bias
            for matrix, part in parts:
                y = torch.addmv(y, matrix, part[0])
            return y.unsqueeze(0)
        y = self.bias[:, None].expand(-1, len(x))
        for matrix, part in parts:
            y = torch.addmm(y, matrix, part.T)
        return y.T

    def check(self) -> None:
        """Raises: RuntimeError or ValueError if the indices make no matrix; a product could then read anywhere."""
        if self.starts[0] != 0 or self.starts[-1] != len(self.values):
            raise ValueError(f"the rows do not share out all of the {len(self.values)} entries")
        for _ in self._matrices(check=True):
            pass

    def _matrices(self, *, check: bool = False) -> Iterator[Tensor]:
        for block in range(_blocks(self.inputs)):
            starts = self.starts[block * self.outputs : (block + 1) * self.outputs + 1]
            stored = slice(int(starts[0]), int(starts[-1]))
            shape = (self.outputs, min(BLOCK, self.inputs - block * BLOCK))
            entries = self.columns[stored], self.values[stored]
            yield torch.sparse_csr_tensor(starts - starts[0], *entries, shape, check_invariants=check)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.outputs}, entries={len(self.values):,}"


def csr_is_faster(layer: nn.Module) -> bool:
    """Whether a linear or LOCAL layer is computed faster from its non-zeros at batch 1 … 128."""
    if not isinstance(layer, nn.Linear | LocallyConnected) or layer.weight.numel() < LEAST_WEIGHTS:
        return False
    return int(layer.weight.count_nonzero()) <= MOST_DENSITY * layer.weight.numel()


@torch.no_grad()
def csr_of(layer: nn.Linear | LocallyConnected) -> CsrLinear:
    """The same map from vectors to vectors, of LOCAL from flattened images to flattened images."""
    if isinstance(layer, nn.Linear):
        rows, columns = layer.weight.nonzero(as_tuple=True)
        values, shape = layer.weight[rows, columns], (layer.out_features, layer.in_features)
    else:
        rows, columns, values, shape = _entries(layer)
    places = torch.stack([columns // BLOCK * shape[0] + rows, columns % BLOCK])
    size = (_blocks(shape[1]) * shape[0], BLOCK)
    matrix = torch.sparse_coo_tensor(places, values, size, check_invariants=False).coalesce().to_sparse_csr()
    made = CsrLinear(shape[1], shape[0], len(values))
    made.starts, made.columns = matrix.crow_indices().int(), matrix.col_indices().int()
    made.values = matrix.values().float()
    made.bias = torch.zeros(shape[0]) if layer.bias is None else layer.bias.detach().flatten().float()
    return made


def _entries(layer: LocallyConnected) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Tensor, tuple[int, int]]:
    """Rows, columns and values of the non-zeros that do not fall on the padding."""
    weight, axes = layer.weight, len(layer.image)
    *entries, values = *weight.nonzero(as_tuple=True), weight[weight != 0]
    positions, taps = entries[:axes], entries[axes + 2 :]
    rows, columns = entries[axes], entries[axes + 1]
    inside = torch.ones_like(rows, dtype=torch.bool)
    for at, tap, outputs, side in zip(positions, taps, layer.positions, layer.image, strict=True):
        place = at * layer.stride - layer.padding + tap
        inside &= (place >= 0) & (place < side)
        rows, columns = rows * outputs + at, columns * side + place
    shape = (layer.out_channels * math.prod(layer.positions), layer.in_channels * math.prod(layer.image))
    return rows[inside], columns[inside], values[inside], shape


def _blocks(inputs: int) -> int:
    return -(-inputs // BLOCK)
