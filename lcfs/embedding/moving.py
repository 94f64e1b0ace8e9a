"""Calls that only move numbers (padding, slices, permutations, shuffles, concatenation, copies) as lists of indices."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from lcfs.embedding.operations import Shape
from lcfs.embedding.units import MaxOf, Rearrange
from lcfs.errors import InputError

BATCH = 2
"""Images in a batch that a net is traced with."""


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
    total = sum(int(torch.Size(shape).numel()) for shape in shapes)
    images, first = [], 1
    for shape in shapes:
        count = int(torch.Size(shape).numel())
        one = torch.arange(first, first + count, dtype=torch.float64).reshape(shape)
        images.append(torch.stack([one + example * total for example in range(BATCH)]))
        first += count
    up, down = (move([sign * image for image in images]) for sign in (1, -1))
    fixed = up == down  # what padding puts there
    if not torch.equal(up[~fixed], -down[~fixed]):
        raise InputError(f"{name} computes with its numbers where only a move of them embeds")
    moved = up - total * torch.arange(BATCH).reshape(-1, *[1] * (up.ndim - 1))
    if not torch.equal(moved[0][~fixed[0]], moved[1][~fixed[1]]) or bool((moved[0][~fixed[0]] > total).any()):
        raise InputError(f"{name} mixes the examples of a batch; only what happens within an image embeds")
    plus, fixed = up[0].flatten(), fixed[0].flatten()
    index = torch.where(fixed, 0, plus).long().to(like.device)
    constant = torch.where(fixed, plus, 0).to(like)
    return Rearrange(index, constant if bool(constant.any()) else None)


def replayed(node: fx.Node, modules: dict[str, nn.Module]) -> Callable[[list[Tensor]], Tensor]:
    """What a call makes of a batch of each of its `activations`, in their order."""

    def value_of(each: fx.Node, images: Iterator[Tensor]) -> Any:
        if "value" in each.meta:
            return each.meta["value"]
        return call(each, images) if "pieces" in each.meta else next(images)

    def call(each: fx.Node, images: Iterator[Tensor]) -> Any:
        inputs = {source: value_of(source, images) for source in each.all_input_nodes}
        args, kwargs = fx.node.map_arg((each.args, each.kwargs), lambda source: inputs[source])
        if each.op == "call_module":
            return modules[str(each.target)](*args, **kwargs)
        if each.op == "call_method":
            return getattr(args[0], str(each.target))(*args[1:], **kwargs)
        target: Any = each.target
        return target(*args, **kwargs)

    return lambda images: call(node, iter(images))


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
