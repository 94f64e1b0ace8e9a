"""SparseLinear: a linear layer whose weights are the stored entries of a sparse matrix."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


class SparseLinear(nn.Module):
    """y = W x + bias with W sparse: entry i, `values[i]`, stands at row `indices[0, i]` and column `indices[1, i]`.

    What is not stored is 0 and stays 0. Memory in both directions is that of the stored entries, never of a dense W.

    Args:
        values: `[entries]`.
        indices: `[2, entries]`, each pair once, ordered by row and then column.
        shape: (rows, columns) of W.
        bias: `[rows]`, or None.
    """

    indices: Tensor

    def __init__(
        self,
        values: Float[Tensor, " entries"],
        indices: Int64[Tensor, "2 entries"],
        shape: tuple[int, int],
        bias: Float[Tensor, " rows"] | None = None,
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = shape
        self.values = nn.Parameter(values)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.register_buffer("indices", indices)

    @property
    def weight(self) -> Tensor:
        """W as a sparse COO tensor."""
        return _matrix(self.values, self.indices, (self.out_features, self.in_features))

    def forward(self, x: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch rows"]:
        """`[B, in_features]` → `[B, out_features]`."""
        y: Tensor = _Product.apply(x, self.values, self.indices, self.out_features)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, entries={len(self.values):,}, bias={self.bias is not None}"


class _Product(torch.autograd.Function):
    """x Wᵀ; torch's own derivative for the values goes through a dense matrix."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, indices: Tensor, rows: int) -> Tensor:
        ctx.save_for_backward(x, values, indices)
        return torch.sparse.mm(_matrix(values, indices, (rows, x.shape[1])), x.T).T

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (x, values, indices), (grad,) = ctx.saved_tensors, grad_outputs
        of_x = of_values = None
        if ctx.needs_input_grad[0]:
            transposed = torch.sparse_coo_tensor(
                indices.flip(0), values, (x.shape[1], grad.shape[1]), check_invariants=False
            )
            of_x = torch.sparse.mm(transposed, grad.T).T
        if ctx.needs_input_grad[1]:
            of_values = torch.zeros_like(values)
            for g, one in zip(grad, x, strict=True):  # one example at a time bounds the memory
                of_values.addcmul_(g[indices[0]], one[indices[1]])
        return of_x, of_values, None, None


def _matrix(values: Tensor, indices: Tensor, shape: tuple[int, int]) -> Tensor:
    return torch.sparse_coo_tensor(indices, values, shape, is_coalesced=True, check_invariants=False)
