"""Features that are the same whatever the data: smoothed differences of an image's colours, and their moduli.

Nothing in them is learned, so they cost a description nothing. A flipped image has the flipped features.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

# Smoothing, first and second difference over four pixels in steps of two. Their products' gains make the features of
# natural images vary about as much as each other; all are powers of two.
_TAPS = ((1, 3, 3, 1), (-1, -1, 1, 1), (1, -1, -1, 1))
_GAINS = {
    (0, 0): 1 / 64,
    (0, 1): 1 / 4,
    (1, 0): 1 / 4,
    (1, 1): 1.0,
    (0, 2): 1 / 2,
    (2, 0): 1 / 2,
}  # (vertical, horizontal)
_UNIT = 1 / 128


def front_end_channels(image_channels: int) -> int:
    """Channels that `front_end` makes of an image: per colour six differences and three moduli."""
    return image_channels * (len(_GAINS) + len(_twice_used()))


def front_end(images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b f rows columns"]:
    """Differences of order 0, 1 and 2 of the opponent colours at half the resolution, float32; h and w must be even.

    A difference that is odd under a horizontal flip enters as its modulus, the even ones as themselves and, but for
    the smoothed image, their modulus too. Computed by sums of a few multiples of 2⁻¹³ below 2⁸, which float32 holds
    exactly: the same on every machine in any order.
    """
    padded = F.pad(_opponent_colours(images), (1, 1, 1, 1), mode="replicate")
    rows = [_filtered(padded, taps, -2) for taps in _TAPS]
    found = {(i, j): _filtered(rows[i], _TAPS[j], -1) * (gain * _UNIT) for (i, j), gain in _GAINS.items()}
    features = [y.abs() if j % 2 else y for (_, j), y in found.items()]
    features += [found[order].abs() for order in _twice_used()]
    return torch.stack(features, 2).flatten(1, 2)


def _twice_used() -> list[tuple[int, int]]:
    return [(i, j) for i, j in _GAINS if j % 2 == 0 and i + j > 0]


def _opponent_colours(images: Tensor) -> Tensor:
    """Integers in ±1020: brightness, 2 (red − blue) and 2 (2 green − red − blue); three times the grey of others."""
    x = images.float()
    if images.shape[1] != 3:
        return 3 * x - 384
    red, green, blue = x.unbind(1)
    return torch.stack([red + green + blue - 384, 2 * (red - blue), 2 * (2 * green - red - blue)], 1)


def _filtered(x: Tensor, taps: tuple[int, ...], dim: int) -> Tensor:
    """Σ_t taps[t] x[2n + t] along dim, by slices: no convolution algorithm that trades exactness for speed."""
    windows = x.unfold(dim, len(taps), 2).unbind(-1)
    return sum((tap * window for tap, window in zip(taps, windows, strict=True)), torch.zeros(()))
