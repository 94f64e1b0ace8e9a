"""Pillow's image operations on a batch, every sample with a magnitude of its own.

Each function takes bytes `[b, c, h, w]` with one or three channels and returns bytes that equal Pillow's exactly.
Nothing is drawn here: the same arguments give the same images on every device.
"""

import math
from functools import cache

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from lcfs.errors import InputError

Images = UInt8[Tensor, "b c h w"]
Magnitude = Float[Tensor, " b"]

_CUTOUT_RGB = (125, 123, 114)  # the fill of AutoAugment's Cutout


def shear_x(images: Images, magnitude: Magnitude) -> Images:
    """Output pixel (x, y) shows input (x + magnitude·y, y); zero outside."""
    one, zero = torch.ones_like(magnitude), torch.zeros_like(magnitude)
    return _affine(images, (one, magnitude, zero, zero, one, zero))


def shear_y(images: Images, magnitude: Magnitude) -> Images:
    """Output pixel (x, y) shows input (x, y + magnitude·x); zero outside."""
    one, zero = torch.ones_like(magnitude), torch.zeros_like(magnitude)
    return _affine(images, (one, zero, zero, magnitude, one, zero))


def translate_x(images: Images, pixels: Magnitude) -> Images:
    """Output pixel (x, y) shows input (x + pixels, y), nearest neighbour; zero outside."""
    h, w = images.shape[-2:]
    x, y = _grid(h, w, images.device)
    x = (x + 0.5 + pixels.double().view(-1, 1, 1)).floor().long()
    return _take(images, x, y)


def translate_y(images: Images, pixels: Magnitude) -> Images:
    """Output pixel (x, y) shows input (x, y + pixels), nearest neighbour; zero outside."""
    h, w = images.shape[-2:]
    x, y = _grid(h, w, images.device)
    y = (y + 0.5 + pixels.double().view(-1, 1, 1)).floor().long()
    return _take(images, x, y)


def rotate(images: Images, degrees: Magnitude) -> Images:
    """Rotate counter-clockwise about the centre, nearest neighbour; zero outside."""
    h, w = images.shape[-2:]
    angle = -degrees.double() * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    left = w / 2 - cos * (w / 2) - sin * (h / 2)
    top = h / 2 + sin * (w / 2) - cos * (h / 2)
    return _affine(images, (cos, sin, left, -sin, cos, top))


def solarize(images: Images, threshold: Magnitude) -> Images:
    """Invert the values at or above the threshold; 256 changes nothing."""
    return torch.where(images < threshold.view(-1, 1, 1, 1), images, 255 - images)


def posterize(images: Images, bits: Magnitude) -> Images:
    """Keep the highest `bits` bits of every value; `bits` in [0, 8] is truncated to an integer."""
    step = torch.exp2(8 - bits.double().trunc()).long().view(-1, 1, 1, 1)
    return (images - images % step).to(torch.uint8)


def contrast(images: Images, factor: Magnitude) -> Images:
    """Move away from the mean grey of the image: 0 is flat, 1 the image itself."""
    total = grayscale(images).sum(dim=(1, 2, 3), keepdim=True, dtype=torch.int64)
    pixels = images.shape[-2] * images.shape[-1]
    mean = (2 * total + pixels) // (2 * pixels)  # ⌊mean + 1/2⌋ in integers
    return _blend(mean.expand_as(images), images, factor)


def color(images: Images, factor: Magnitude) -> Images:
    """Move away from the grey image: 0 is grey, 1 the image itself; one channel has no colour to change."""
    if images.shape[1] == 1:
        return images.clone()
    return _blend(grayscale(images).expand_as(images), images, factor)


def brightness(images: Images, factor: Magnitude) -> Images:
    """Move away from black: 0 is black, 1 the image itself."""
    return _blend(torch.zeros_like(images), images, factor)


def sharpness(images: Images, factor: Magnitude) -> Images:
    """Move away from the smoothed image: 0 is smooth, 1 the image itself; the border pixels stay as they are."""
    smooth = images.clone()
    if min(images.shape[-2:]) > 2:
        wide = images.int()
        rows = wide[..., :-2, :] + wide[..., 1:-1, :] + wide[..., 2:, :]
        total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * wide[..., 1:-1, 1:-1]
        smooth[..., 1:-1, 1:-1] = (2 * total + 13) // 26  # total / 13, rounded; a tie cannot occur
    return _blend(smooth, images, factor)


def auto_contrast(images: Images) -> Images:
    """Stretch every channel to the range 0…255; a constant channel stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True).double(), images.amax(dim=(2, 3), keepdim=True).double()
    spread = (high - low).clamp(min=1)
    scale = torch.full_like(spread, 255) / spread  # 255 / spread is 255 · (1 / spread) in torch, one rounding too many
    # Pillow truncates ix·scale + offset in float64; (ix − low)·scale would round differently.
    stretched = (images.double() * scale + (-low * scale)).clamp(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, images)


def invert(images: Images) -> Images:
    """255 − value."""
    return 255 - images


def equalize(images: Images) -> Images:
    """Make every channel's histogram as flat as a table of values can."""
    b, c, h, w = images.shape
    flat = images.reshape(b * c, h * w).long()
    histogram = flat.new_zeros(b * c, 256).scatter_add_(1, flat, torch.ones_like(flat))
    at_maximum = histogram.gather(1, flat.amax(dim=1, keepdim=True))
    step = (h * w - at_maximum) // 255  # 0 for a constant channel and for fewer than 255 other pixels: unchanged
    below = histogram.cumsum(dim=1) - histogram
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step > 0, table.gather(1, flat), flat).to(torch.uint8).view(b, c, h, w)


def cutout(images: Images, side: Magnitude, center: Float[Tensor, "b 2"]) -> Images:
    """Fill a square with AutoAugment's grey (125, 123, 114), as Pillow draws the rectangle: both ends included.

    Args:
        images: bytes [b, c, h, w].
        side: side of the square in pixels, [b]; 0 leaves the image alone.
        center: (x, y) of its centre in pixels, [b, 2]; what leaves the image is clipped.
    """
    h, w = images.shape[-2:]
    x, y = _grid(h, w, images.device)
    fill = _cutout_fill(images.shape[1], images.device)
    inside = _covers(x, center[:, 0], side) & _covers(y, center[:, 1], side) & (side > 0).view(-1, 1, 1)
    return torch.where(inside.unsqueeze(1), fill, images)


def grayscale(images: Images) -> UInt8[Tensor, "b 1 h w"]:
    """ITU-R 601 luma in Pillow's 16-bit fixed point, `[b, 1, h, w]`.

    Raises:
        InputError: neither one nor three channels.
    """
    if images.shape[1] == 1:
        return images
    if images.shape[1] != 3:
        raise InputError(f"images have {images.shape[1]} channels, expected 1 or 3; use a policy of none")
    red, green, blue = images.int().split(1, dim=1)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8)


def _blend(degenerate: Tensor, images: Images, factor: Magnitude) -> Images:
    # ImagingBlend: float32, clipped, truncated.
    base = degenerate.float()
    return (base + factor.float().view(-1, 1, 1, 1) * (images.float() - base)).clamp_(0, 255).to(torch.uint8)


def _affine(images: Images, matrix: tuple[Tensor, ...]) -> Images:
    # Pillow's affine transform for nearest neighbour: pixel centres, 16.16 fixed point.
    h, w = images.shape[-2:]
    a, b, c, d, e, f = (m.double().view(-1, 1, 1) for m in matrix)
    x, y = _grid(h, w, images.device)
    source_x = (_fixed(c + a * 0.5 + b * 0.5) + _fixed(a) * x + _fixed(b) * y) >> 16
    source_y = (_fixed(f + d * 0.5 + e * 0.5) + _fixed(d) * x + _fixed(e) * y) >> 16
    return _take(images, source_x, source_y)


def _fixed(value: Tensor) -> Tensor:
    return (value * 65536 + 0.5).floor().long()


def _grid(h: int, w: int, device: torch.device) -> tuple[Int64[Tensor, "1 1 w"], Int64[Tensor, "1 h 1"]]:
    return torch.arange(w, device=device).view(1, 1, w), torch.arange(h, device=device).view(1, h, 1)


@cache  # on a GPU, sending it makes the host wait
def _cutout_fill(channels: int, device: torch.device) -> UInt8[Tensor, "1 c 1 1"]:
    fill = torch.tensor(_CUTOUT_RGB, dtype=torch.uint8).view(1, 3, 1, 1)
    return (grayscale(fill) if channels == 1 else fill).to(device)


def _take(images: Images, x: Int64[Tensor, "#b #h #w"], y: Int64[Tensor, "#b #h #w"]) -> Images:
    b, c, h, w = images.shape
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    index = torch.where(inside, y * w + x, 0).view(b, 1, h * w).expand(b, c, h * w)
    taken = images.reshape(b, c, h * w).gather(2, index).view(b, c, h, w)
    return taken * inside.unsqueeze(1)


def _covers(positions: Tensor, center: Tensor, side: Tensor) -> Bool[Tensor, "b _ _"]:
    center, side = center.double().view(-1, 1, 1), side.double().view(-1, 1, 1)
    start = (center - side / 2).clamp(min=0).floor()
    return (positions >= start) & (positions <= (start + side).floor())
