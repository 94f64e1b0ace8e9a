"""LocallyConnected: a convolution whose kernel differs at every output position (LOCAL in the paper)."""

import math
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class LocallyConnected(nn.Module):
    """y[b, o, p] = Σ_k weight[p, o, k] · patch(x[b], p)[k] (+ bias[o, p]), for each output position p.

    `weight[row, column]` is an ordinary Conv2d weight `[out_channels, in_channels, k, k]`, the one used at that
    output position, and on one axis `weight[column]` a Conv1d weight; taps that fall on the zero padding are stored
    too, as the paper counts them.
    Batch × outputs × patch is never materialized: memory is O(batch · positions · patch + weights).

    Args:
        in_channels, out_channels: channels before and after, ≥ 1.
        image: sides of the input, (height, width) or (length,), which a layer without weight sharing has to know.
        kernel_size, stride, padding: as in `torch.nn.Conv2d`, one integer for all sides.
        bias: one bias per output unit, `[out_channels, H', W']`.

    Raises:
        ValueError: a kernel larger than the padded image.
    Source: paper §2.1 (LOCAL); initialization is that of `torch.nn.Conv2d`, U(±1/√fan_in).

    >>> layer = LocallyConnected(3, 8, (32, 32), 9, stride=2, padding=4, bias=False)
    >>> layer.weight.shape, layer(torch.zeros(1, 3, 32, 32)).shape
    (torch.Size([16, 16, 8, 3, 9, 9]), torch.Size([1, 8, 16, 16]))
    >>> LocallyConnected(1, 8, (40,), 9, stride=2, padding=4).weight.shape
    torch.Size([20, 8, 1, 9])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        image: tuple[int, ...],
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if min(image) + 2 * padding < kernel_size:
            raise ValueError(
                f"a {kernel_size}×{kernel_size} kernel does not fit an image of {image} padded by {padding}"
            )
        self.in_channels, self.out_channels, self.image = in_channels, out_channels, image
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        positions = [(side + 2 * padding - kernel_size) // stride + 1 for side in image]
        kernel = [kernel_size] * len(image)
        self.weight = nn.Parameter(torch.empty(*positions, out_channels, in_channels, *kernel))
        self.bias = nn.Parameter(torch.empty(out_channels, *positions)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and biases from U(±1/√fan_in), fan_in = in_channels · k² (k on one axis)."""
        bound = 1 / math.sqrt(self.in_channels * self.kernel_size ** len(self.image))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @property
    def positions(self) -> tuple[int, ...]:
        """Sides of the output, (H', W') or (L',)."""
        return tuple(self.weight.shape[: len(self.image)])

    def forward(self, x: Float[Tensor, "batch channels *image"]) -> Float[Tensor, "batch outputs *positions"]:
        """`[B, in_channels, H, W]` → `[B, out_channels, H', W']`, `[B, in_channels, L]` → `[B, out_channels, L']`."""
        axes, positions = len(self.image), self.positions
        # under autocast cast pixels, not the many copies of them
        if x.device.type != "meta" and torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        # With the batch last the patches are copied once, in order; F.unfold's layout is several times slower.
        windows = F.pad(x, (self.padding,) * (2 * axes)).movedim(0, -1).contiguous()
        for axis in range(1, axes + 1):
            windows = windows.unfold(axis, self.kernel_size, self.stride)  # [C, *positions, B, k, …], a view
        order = chain(range(1, axes + 1), [0], range(axes + 2, 2 * axes + 2), [axes + 1])
        taps = self.in_channels * self.kernel_size**axes
        patches = windows.permute(*order).reshape(math.prod(positions), taps, x.shape[0])  # [P, K, B]
        weight = self.weight.flatten(axes + 1).flatten(0, axes - 1)
        y = torch.bmm(weight, patches)  # [P, O, B]
        y = y.permute(2, 1, 0).unflatten(2, positions)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, image={self.image}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, bias={self.bias is not None}"
        )
