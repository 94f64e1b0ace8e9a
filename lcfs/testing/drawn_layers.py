"""Layers drawn at random that take images of a given shape."""

import math
from typing import Any

from hypothesis import strategies as st
from torch import Tensor, nn

from lcfs.nets.layers import LocallyConnected
from lcfs.testing.drawing import Draw, Limits, Shape, draw_axis, draw_groups

CONVS: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class Twice(nn.Module):
    """One module used twice: inner(between(inner(x)))."""

    def __init__(self, inner: nn.Module, between: nn.Module) -> None:
        super().__init__()
        self.inner, self.between = inner, between

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.between(self.inner(x)))


def linear_layer(draw: Draw, limits: Limits, image: Shape) -> nn.Module:
    """One layer of the kinds allowed; a convolution where none of them takes such images."""
    kinds = [kind for kind in limits.kinds if kind != "local" or len(image) < 4] or ["conv"]
    kinds = [kind for kind in kinds if kind != "same" or 1 in limits.strides] or ["conv"]
    makers = {"conv": _convolution, "same": _same, "transposed": _transposed, "local": _local}
    return makers[draw(st.sampled_from(kinds))](draw, limits, image)


def _convolution(draw: Draw, limits: Limits, image: Shape) -> nn.Module:
    mode = draw(st.sampled_from(limits.padding_modes))
    axes = (draw_axis(draw, limits, size, mode, even=True) for size in image[1:])
    kernel, stride, padding, _, dilation = zip(*axes, strict=True)
    return _conv(draw, limits, image, kernel, stride=stride, padding=padding, dilation=dilation, padding_mode=mode)


def _same(draw: Draw, limits: Limits, image: Shape) -> nn.Module:
    """padding="same", often with an odd total, of which one end gets more."""
    mode = draw(st.sampled_from(limits.padding_modes))
    dilation = tuple(draw(st.sampled_from(limits.dilations)) for _ in image[1:])
    kernel = []
    for size, step in zip(image[1:], dilation, strict=True):
        widest = {"reflect": size - 1, "circular": size}.get(mode, math.inf)
        fits = [k for k in range(1, 5) if step * (k - 1) - step * (k - 1) // 2 <= widest]
        odd = [k for k in fits if step * (k - 1) % 2]
        kernel.append(draw(st.sampled_from(odd or fits) | st.sampled_from(fits)))
    return _conv(draw, limits, image, tuple(kernel), padding="same", dilation=dilation, padding_mode=mode)


def _conv(draw: Draw, limits: Limits, image: Shape, kernel: Shape, **options: Any) -> nn.Module:
    groups = draw_groups(draw, limits, image[0])
    outputs, bias = groups * draw(st.integers(1, 3)), draw(st.booleans())
    return CONVS[len(image) - 2](image[0], outputs, kernel, groups=groups, bias=bias, **options)


def _transposed(draw: Draw, limits: Limits, image: Shape) -> nn.Module:
    dims = len(image) - 1

    def each(values: Any) -> Shape:
        return tuple(draw(st.sampled_from(list(values))) for _ in range(dims))

    kernel, stride, dilation = each(range(1, 4)), each(limits.strides), each(limits.dilations)
    reach = tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    padding = tuple(draw(st.integers(0, r // 2)) for r in reach)  # as much as leaves an output
    # torch allows more where the dilation is larger; those pixels read nothing, and `lcfs.embed` refuses some of them.
    extra = tuple(draw(st.integers(0, s - 1)) for s in stride)
    groups = draw_groups(draw, limits, image[0])
    layer: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
    outputs, bias = groups * draw(st.integers(1, 3)), draw(st.booleans())
    return layer(image[0], outputs, kernel, stride, padding, extra, groups, bias, dilation)


def _local(draw: Draw, limits: Limits, image: Shape) -> nn.Module:
    padding = draw(st.integers(0, 2))
    kernel = draw(st.integers(1, min(3, min(image[1:]) + 2 * padding)))
    stride, bias = draw(st.sampled_from(limits.strides)), draw(st.booleans())
    outputs = draw(st.integers(1, 3))
    return LocallyConnected(image[0], outputs, image[1:], kernel, stride=stride, padding=padding, bias=bias)


def norm(draw: Draw, image: Shape) -> nn.Module:
    """BatchNorm for such images or, with no axes, for units."""
    kind = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[len(image) - 1]
    return kind(image[0], affine=draw(st.booleans()))


def residual(draw: Draw, image: Shape) -> nn.Module:
    """A sum with a convolution that keeps the image's shape."""
    return Residual(_keeping(draw, image))


def twice(draw: Draw, image: Shape) -> nn.Module:
    """A convolution used twice, on images of one size or of two."""
    between: list[nn.Module] = [nn.ReLU(), nn.Identity()]
    if min(image[1:]) > 1:
        between.append((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[len(image) - 2](2))
    return Twice(_keeping(draw, image), draw(st.sampled_from(between)))


def _keeping(draw: Draw, image: Shape) -> nn.Module:
    kernel = draw(st.integers(1, 3))
    return CONVS[len(image) - 2](image[0], image[0], kernel, padding="same", bias=draw(st.booleans()))


def average(draw: Draw, image: Shape, exact: bool) -> nn.Module:
    """Average pooling with any of torch's options; if exact, windows and divisors that are powers of two."""
    kernels = [k for k in ((2, 1) if exact else (2, 3, 1)) if k <= min(image[1:])]
    windows = [(k, s, p) for k in kernels for s in (2, 1, 3) for p in range(k // 2 + 1)]
    over = [w for w in windows if any(_reaches_over(side, *w) for side in image[1:])]
    padded = [w for w in windows if w[2] > 0]
    # Most windows meet neither the padding nor the end, where ceil_mode and count_include_pad do something.
    chosen = draw(st.sampled_from([each for each in (over, padded, windows) if each]))
    kernel, stride, padding = draw(st.sampled_from(chosen))
    options: dict[str, Any] = {
        "ceil_mode": chosen is over or draw(st.booleans()),
        "count_include_pad": chosen is not padded and draw(st.booleans()),
    }
    if len(image) > 2:
        options["divisor_override"] = draw(st.sampled_from([None, None, 2, 4] if exact else [None, None, 3, 5]))
    return (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[len(image) - 2](kernel, stride, padding, **options)


def _reaches_over(size: int, kernel: int, stride: int, padding: int) -> bool:
    """Whether ceil_mode adds a window, which has to begin inside the image or the padding before it."""
    floor, rest = divmod(size + 2 * padding - kernel, stride)
    return rest > 0 and (floor + 1) * stride < size + padding


def activation(draw: Draw, exact: bool) -> nn.Module:
    """A module that works on each number by itself; if exact, one that rounds no small integer."""
    linear = [nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.5), nn.Hardtanh(-100.0, 100.0)]
    return draw(st.sampled_from(linear if exact else [*linear, nn.GELU(), nn.SiLU(), nn.Tanh(), nn.Softplus()]))
