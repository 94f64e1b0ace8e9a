"""LocallyConnected2d: a convolution whose kernel differs at every output position (LOCAL in the paper)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class LocallyConnected2d(nn.Module):
    """y[b, o, p] = Σ_k weight[p, o, k] · patch(x[b], p)[k] (+ bias[o, p]), for each output position p.

    `weight[row, column]` is an ordinary Conv2d weight `[out_channels, in_channels, k, k]`, the one used at that
    output position; taps that fall on the zero padding are stored too, as the paper counts them.
    Batch × outputs × patch is never materialized: memory is O(batch · positions · patch + weights).

    Args:
        in_channels, out_channels: channels before and after, ≥ 1.
        image: (height, width) of the input, which a layer without weight sharing has to know.
        kernel_size, stride, padding: as in `torch.nn.Conv2d`, one integer for both sides.
        bias: one bias per output unit, `[out_channels, H', W']`.

    Raises:
        ValueError: a kernel larger than the padded image.
    Source: paper §2.1 (LOCAL); initialization is that of `torch.nn.Conv2d`, U(±1/√fan_in).

    >>> layer = LocallyConnected2d(3, 8, (32, 32), 9, stride=2, padding=4, bias=False)
    >>> layer.weight.shape, layer(torch.zeros(1, 3, 32, 32)).shape
    (torch.Size([16, 16, 8, 3, 9, 9]), torch.Size([1, 8, 16, 16]))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        image: tuple[int, int],
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
        height, width = ((side + 2 * padding - kernel_size) // stride + 1 for side in image)
        self.weight = nn.Parameter(torch.empty(height, width, out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels, height, width)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and biases from U(±1/√fan_in), fan_in = in_channels · k²."""
        bound = 1 / math.sqrt(self.in_channels * self.kernel_size**2)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch outputs rows columns"]:
        """`[B, in_channels, H, W]` → `[B, out_channels, H', W']`."""
        rows, columns = self.weight.shape[:2]
        k, step = self.kernel_size, self.stride
        if torch.is_autocast_enabled(x.device.type):  # cast pixels, not the many copies of them
            x = x.to(torch.get_autocast_dtype(x.device.type))
        # With the batch last the patches are copied once, in order; F.unfold's layout is several times slower.
        padded = F.pad(x, (self.padding,) * 4).permute(1, 2, 3, 0).contiguous()
        windows = padded.unfold(1, k, step).unfold(2, k, step)  # [C, H', W', B, k, k], a view
        taps = self.in_channels * k * k
        patches = windows.permute(1, 2, 0, 4, 5, 3).reshape(rows * columns, taps, x.shape[0])  # [P, K, B]
        y = torch.bmm(self.weight.flatten(0, 1).flatten(2), patches)  # [P, O, B]
        y = y.permute(2, 1, 0).unflatten(2, (rows, columns))
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, image={self.image}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, bias={self.bias is not None}"
        )
