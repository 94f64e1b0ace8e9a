"""Calls that only move numbers (padding, slices, permutations, shuffles, concatenation, copies) as lists of indices."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lcfs.embedding.operations import Shape
from lcfs.errors import InputError

BATCH = 2
"""Images in a batch that a net is traced with."""


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


def rearranged(name: str, move: Callable[[list[Tensor]], Tensor], shapes: Sequence[Shape], like: Tensor) -> Rearrange:
    """The rearrangement of all inputs in a row that a call makes, from what it makes of their numbers.

    Args:
        name: of the call, for errors.
        move: the call, on a batch of BATCH images for each of its inputs.
        shapes: of one example of each input.
        like: of the type and device of the constants.

    Raises:
        InputError: a call that computes with the numbers, or mixes examples.
    """
    images, first = [], 1
    for shape in shapes:
        count = int(torch.Size(shape).numel())
        numbers = torch.arange(first, first + count, dtype=torch.float64).reshape(1, *shape)
        images.append(numbers.expand(BATCH, *shape).clone())
        first += count
    up, down = (move([sign * image for image in images]) for sign in (1, -1))
    if up.shape[0] != BATCH or not torch.equal(up[0], up[1]):
        raise InputError(f"{name} mixes the examples of a batch; only what happens within an image embeds")
    plus, minus = up[0].flatten(), down[0].flatten()
    fixed = plus == minus  # what padding puts there
    if not torch.equal(plus[~fixed], -minus[~fixed]):
        raise InputError(f"{name} computes with its numbers where only a move of them embeds")
    index = torch.where(fixed, 0, plus).long().to(like.device)
    constant = torch.where(fixed, plus, 0).to(like)
    return Rearrange(index, constant if bool(constant.any()) else None)


def max_windows(windows: Sequence[list[list[int]]], channels: int, sides: Shape) -> MaxOf:
    """Maxima over boxes of pixels, the same in each channel.

    Args:
        windows: for each axis, and each output position on it, the input positions that it sees.
        sides: of the input.
    """
    pixels = torch.arange(1, channels * int(torch.Size(sides).numel()) + 1).reshape(channels, *sides)
    taps = pixels.unsqueeze(-1)
    for axis, positions in enumerate(windows, start=1):
        most = max(map(len, positions))
        table = torch.tensor([[*seen, *[seen[0]] * (most - len(seen))] for seen in positions])  # the first one again
        picked = taps.movedim(axis, 0)[table]  # [outputs, most, ..., taps]
        taps = picked.movedim(1, -1).flatten(-2).movedim(0, axis)
    return MaxOf(taps.reshape(-1, taps.shape[-1]))
