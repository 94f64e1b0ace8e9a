"""Layers of an embedded net that learn nothing: units in another order, maxima of units, averages of any type."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


class Rearrange(nn.Module):
    """y_u = x at index u, or a constant where there is no such input; it has no weights.

    Args:
        index: `[outputs]` in [0, inputs], 0 for none and i + 1 for input i.
        constant: `[outputs]`, added.
    """

    index: Tensor
    constant: Tensor | None

    def __init__(self, index: Int64[Tensor, " outputs"], constant: Float[Tensor, " outputs"] | None = None) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.register_buffer("constant", constant)

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """`[B, inputs]` → `[B, outputs]`."""
        y = nn.functional.pad(x, (1, 0))[:, self.index]
        return y if self.constant is None else y + self.constant

    def extra_repr(self) -> str:
        return f"outputs={len(self.index):,}"


class MaxOf(nn.Module):
    """y_u = the largest of the inputs at indices u: a maximum over linear maps, each of which picks one input.

    Args:
        index: `[outputs, most]` in [0, inputs], 0 for none and i + 1 for input i.
    """

    index: Tensor

    def __init__(self, index: Int64[Tensor, "outputs most"]) -> None:
        super().__init__()
        self.register_buffer("index", index)

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """`[B, inputs]` → `[B, outputs]`."""
        return nn.functional.pad(x, (1, 0), value=-torch.inf)[:, self.index].amax(2)

    def extra_repr(self) -> str:
        return "outputs={:,}, most={}".format(*self.index.shape)


class AnyType(nn.Module):
    """A linear layer that takes on the type of its input; a net without any number of its own has no other type.

    Args:
        layer: Linear or SparseLinear in float64.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.double()

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """`[B, inputs]` → `[B, outputs]`."""
        return self.layer(x.double()).to(x.dtype)
