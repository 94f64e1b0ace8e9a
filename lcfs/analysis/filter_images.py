"""The filters of a first layer as images: rows of a fully-connected matrix, windows of the other kinds."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lcfs.errors import InputError


def first_weight(state: Mapping[str, Tensor]) -> tuple[str, Tensor]:
    """Name and values of the first weight tensor of a state dict.

    Raises:
        InputError: there is none.
    """
    for name, tensor in state.items():
        if tensor.ndim >= 2:
            return name, tensor.detach().float().cpu()
    raise InputError("the state dict has no weights; choose a checkpoint of a net")


def filter_images(state: Mapping[str, Tensor], image: Sequence[int], *, permutation: Tensor | None = None) -> Tensor:
    """The filters of the first weight tensor of a net, float32 `[units, channels, *grid]`.

    Args:
        state: its state dict.
        image: (channels, *grid) of what the net takes, the grid of one or two dimensions.
        permutation: `[pixels]` that the net was trained with, undone in the filters of a fully-connected layer.

    Returns:
        Of a fully-connected layer its rows, as large as the image; of a LOCAL or CONV layer its windows, at every
        place where it has one.

    Raises:
        InputError: the state dict has no weights, or its first ones do not fit the image.

    >>> filter_images({"fc.weight": torch.ones(5, 12)}, (3, 2, 2)).shape
    torch.Size([5, 3, 2, 2])
    """
    name, weight = first_weight(state)
    channels, *grid = image
    if weight.ndim != 2:
        return weight.reshape(-1, *weight.shape[-len(image) :])
    inputs = int(torch.Size(image).numel())
    if weight.shape[1] != inputs:
        raise InputError(f"{name} takes {weight.shape[1]} inputs, images {tuple(image)} have {inputs}; check --data")
    filters = weight.reshape(len(weight), channels, -1)
    if permutation is not None:
        filters = filters[..., torch.argsort(permutation.cpu())]
    return filters.reshape(len(weight), channels, *grid)
