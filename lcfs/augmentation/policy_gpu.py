"""A step of a policy as one Triton kernel, a program for each image: a GPU would else wait for hundreds of small ones.

A policy names few magnitudes, so what depends on them is tabulated with the operations of `pixel_operations`:
from where a moved image takes each pixel, and what an operation on single values makes of each. The kernel computes the
others, which depend on the whole image. Same bytes as `Policy.grouped`, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, no_type_check

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

# Optional, and comes with the CUDA builds of torch.
triton: Any = import_module("triton") if find_spec("triton") else None
tl: Any = import_module("triton.language") if triton else None

_MOVING = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
_BY_VALUE = ("solarize", "posterize", "brightness", "invert", "clone")
_MOVE, _VALUE, _CONTRAST, _COLOR, _SHARPNESS, _CUTOUT, _AUTO_CONTRAST, _EQUALIZE = range(1, 9)
_KIND = {
    **dict.fromkeys(_MOVING, _MOVE),
    **dict.fromkeys(_BY_VALUE, _VALUE),
    "contrast": _CONTRAST,
    "color": _COLOR,
    "sharpness": _SHARPNESS,
    "cutout": _CUTOUT,
    "auto_contrast": _AUTO_CONTRAST,
    "equalize": _EQUALIZE,
}


@dataclass(frozen=True)
class Tables:
    """A policy of s sub-policies of k steps for images of one shape; entry 2 (i k + j) + negative is step j of i.

    probability: [s·k]. kind, row, amount: by entry; `row` of `source` or `value`, `amount` what the operation takes.
    source: index of the pixel shown at each place, -1 for none, [·, h·w]. value: what each byte becomes, [·, 256].
    """

    shape: torch.Size
    steps: int
    probability: Tensor
    kind: Tensor
    row: Tensor
    amount: Tensor
    source: Tensor
    value: Tensor


def tabulate(
    operations: Sequence[Any],
    policy: Sequence[Tensor],
    shape: torch.Size,
    device: torch.device,
) -> Tables:
    """Tables on `device` for images of `shape` [c, h, w].

    Args:
        operations: of `lcfs.augmentation.policy`, numbered by their order.
        policy: number of the operation, probability, magnitude and whether it is signed, each [s, k], on the CPU.
    """
    operation, probability, magnitude, signed = policy
    height, width = shape[1:]
    magnitudes = torch.stack([magnitude, torch.where(signed > 0, -magnitude, magnitude)], dim=-1).flatten()
    which = operation.flatten().repeat_interleave(2)
    kind, row = (torch.zeros(len(which), dtype=torch.int32) for _ in range(2))
    amount = torch.zeros(len(which), dtype=torch.float64)
    place = torch.arange(height * width)
    # Three channels that a moving operation treats alike: both bytes of a pixel's place, and whether there is one.
    places = torch.stack([place % 256, place // 256, torch.full_like(place, 255)]).to(torch.uint8)
    bytes_ = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    sources, values = [torch.zeros(0, height * width, dtype=torch.int32)], [torch.zeros(0, 256, dtype=torch.uint8)]
    rows = {_MOVE: 0, _VALUE: 0}
    for i, op in enumerate(operations):
        entries = (which == i).nonzero().flatten()
        if not len(entries):
            continue
        found, n = magnitudes[entries], len(entries)
        kind[entries] = _KIND[op.name]
        amount[entries] = op.scale(torch.zeros(n, *shape, dtype=torch.uint8), found)
        nowhere = torch.zeros(n, 2, dtype=torch.float64)
        if op.name in _MOVING:
            low, high, inside = op.apply(places.view(1, 3, height, width).repeat(n, 1, 1, 1), found, nowhere).unbind(1)
            sources.append(torch.where(inside > 0, low.int() + 256 * high.int(), -1).flatten(1).int())
        elif op.name in _BY_VALUE:
            values.append(op.apply(bytes_.repeat(n, 1, 1, 1), found, nowhere).flatten(1))
        if _KIND[op.name] in rows:
            row[entries] = torch.arange(n, dtype=torch.int32) + rows[_KIND[op.name]]
            rows[_KIND[op.name]] += n
    tensors = (probability.flatten(), kind, row, amount, torch.cat(sources), torch.cat(values))
    return Tables(shape, operation.shape[1], *(t.to(device).contiguous() for t in tensors))


if triton:

    @triton.jit
    @no_type_check  # Triton reads the source: a type checker's wrapper around it would hide it
    def _luma(image, pixel, inside, size, channels: tl.constexpr):
        """Grey of each pixel as Pillow computes it, int32."""
        grey = tl.load(image + pixel, inside, 0).to(tl.int32)
        if channels == 3:
            green = tl.load(image + size + pixel, inside, 0).to(tl.int32)
            blue = tl.load(image + 2 * size + pixel, inside, 0).to(tl.int32)
            grey = (19595 * grey + 38470 * green + 7471 * blue + 32768) >> 16
        return grey

    @triton.jit
    @no_type_check
    def _blend(base, x, factor):
        """ImagingBlend: float32, clipped, truncated."""
        base = base.to(tl.float32)
        mixed = base + factor * (x.to(tl.float32) - base)
        return tl.minimum(tl.maximum(mixed, 0.0), 255.0).to(tl.int32)

    @triton.jit
    @no_type_check
    def _smooth(image, pixel, inside, x, height, width):
        """Pillow's SMOOTH filter, which leaves the border as it is."""
        column, line = pixel % width, pixel // width
        inner = inside & (column > 0) & (column < width - 1) & (line > 0) & (line < height - 1)
        total = 4 * x
        for down in tl.static_range(-1, 2):
            for right in tl.static_range(-1, 2):
                total += tl.load(image + pixel + down * width + right, inner, 0).to(tl.int32)
        return tl.where(inner, (2 * total + 13) // 26, x)

    @triton.jit
    @no_type_check
    def _stretched(x, inside):
        """Contrast stretched to 0…255, in float64 as Pillow does; a constant channel stays."""
        low, high = tl.min(tl.where(inside, x, 255), 0), tl.max(tl.where(inside, x, 0), 0)
        spread = tl.maximum(high - low, 1).to(tl.float64)
        scale = tl.full((), 255, tl.float64) / spread
        mixed = x.to(tl.float64) * scale + (-low.to(tl.float64)) * scale
        result = tl.minimum(tl.maximum(mixed, 0.0), 255.0).to(tl.int32)
        return tl.where(high > low, result, x)

    @triton.jit
    @no_type_check
    def _equalized(x, inside, size, block: tl.constexpr):
        """Pillow's table of a flat histogram, looked up."""
        value = tl.arange(0, 256)
        count = tl.histogram(tl.where(inside, x, 0), 256)
        count -= tl.where(value == 0, block - size, 0)  # what lies outside was counted as 0
        at_maximum = tl.sum(tl.where(value == tl.max(tl.where(inside, x, 0), 0), count, 0), 0)
        step = (size - at_maximum) // 255
        below = tl.cumsum(count, 0) - count
        table = tl.minimum((below + step // 2) // tl.maximum(step, 1), 255)
        return tl.where(step > 0, tl.gather(table, x, 0), x)

    @triton.jit
    @no_type_check
    def _covers(position, center, side):
        """Whether Pillow's rectangle covers a row or column, both ends included."""
        start = tl.floor(tl.maximum(center - side / 2, 0.0))
        at = position.to(tl.float64)
        return (at >= start) & (at <= tl.floor(start + side))

    @triton.jit
    @no_type_check
    def step(
        images,
        result,
        drawn,
        uniform,
        probability,
        kinds,
        rows,
        amounts,
        source,
        value,
        k,
        steps,
        height,
        width,
        channels: tl.constexpr,
        block: tl.constexpr,
    ):
        """Step k of the sub-policy that one image has drawn."""
        i = tl.program_id(0).to(tl.int64)
        place = tl.load(drawn + i) * steps + k
        entry = 2 * place + (tl.load(uniform + 4 * i + 1) < 0.5).to(tl.int64)
        applied = tl.load(uniform + 4 * i) < tl.load(probability + place)
        kind = tl.where(applied, tl.load(kinds + entry), 0)
        row, amount = tl.load(rows + entry).to(tl.int64), tl.load(amounts + entry)
        factor = amount.to(tl.float32)
        size = height * width
        pixel = tl.arange(0, block)
        inside = pixel < size
        image, target = images + i * channels * size, result + i * channels * size
        for c in tl.static_range(channels):
            plane = image + c * size
            x = tl.load(plane + pixel, inside, 0).to(tl.int32)
            if kind == 1:
                at = tl.load(source + row * size + pixel, inside, -1)
                x = tl.load(plane + at, inside & (at >= 0), 0).to(tl.int32)
            elif kind == 2:
                x = tl.load(value + row * 256 + x).to(tl.int32)
            elif kind == 3:
                total = tl.sum(tl.where(inside, _luma(image, pixel, inside, size, channels), 0), 0)
                x = _blend(tl.zeros_like(x) + (2 * total + size) // (2 * size), x, factor)
            elif kind == 4:
                if channels == 3:
                    x = _blend(_luma(image, pixel, inside, size, channels), x, factor)
            elif kind == 5:
                x = _blend(_smooth(plane, pixel, inside, x, height, width), x, factor)
            elif kind == 6:
                if amount > 0:
                    across, down = tl.load(uniform + 4 * i + 2) * width, tl.load(uniform + 4 * i + 3) * height
                    covered = _covers(pixel % width, across, amount) & _covers(pixel // width, down, amount)
                    grey = (19595 * 125 + 38470 * 123 + 7471 * 114 + 32768) >> 16
                    colour = (125 if c == 0 else 123 if c == 1 else 114) if channels == 3 else grey
                    x = tl.where(covered, colour, x)
            elif kind == 7:
                x = _stretched(x, inside)
            elif kind == 8:
                x = _equalized(x, inside, size, block)
            tl.store(target + c * size + pixel, x.to(tl.uint8), inside)


def apply(
    tables: Tables,
    images: UInt8[Tensor, "b c h w"],
    drawn: Int64[Tensor, " b"],
    uniform: Float64[Tensor, "b 4"],
    k: int,
) -> UInt8[Tensor, "b c h w"]:
    """Step `k` of the sub-policies `drawn`.

    Args:
        tables: for images of this shape, on their device.
        uniform: in [0, 1); applied if below the probability, negative if below one half, position of a Cutout.
    """
    channels, height, width = tables.shape
    images, result = images.contiguous(), torch.empty_like(images, memory_format=torch.contiguous_format)
    if len(images):
        by_entry = (tables.probability, tables.kind, tables.row, tables.amount, tables.source, tables.value)
        block = triton.next_power_of_2(height * width)
        step[(len(images),)](
            images,
            result,
            drawn.contiguous(),
            uniform.contiguous(),
            *by_entry,
            k,
            tables.steps,
            height,
            width,
            channels,
            block,
            enable_fp_fusion=False,
        )
    return result
