"""Random augmentation of a batch on its device: every image draws for itself, from one generator."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Generator, Tensor

from lcfs import image_ops as ops
from lcfs.config import AugmentConfig
from lcfs.errors import InputError

__all__ = ["FAST_AUTOAUGMENT", "TRIVIAL_WIDE", "Augment", "AugmentConfig", "Operation", "load_policy", "normalize"]

SubPolicy = list[tuple[str, float, float]]
"""(operation, probability, level) in the order of application; probability and level in [0, 1]."""

_FILES = {"fa-cifar10": "fa_reduced_cifar10.json", "fa-svhn": "fa_reduced_svhn.json"}
_TRIVIAL_BINS = 31


@dataclass(frozen=True)
class Operation:
    """What a name in a policy does: level 0…1 maps linearly onto low…high, whose sign is flipped half of the time."""

    apply: Callable[[Tensor, Tensor, Tensor], Tensor]
    """(images [b, c, h, w], magnitude [b], position [b, 2] uniform in [0, 1)) → images."""
    low: float = 0.0
    high: float = 0.0
    signed: bool = False


def _with(
    apply: Callable[[Tensor, Tensor], Tensor],
    low: float,
    high: float,
    signed: bool = False,
    scale: Callable[[Tensor, Tensor], Tensor] = lambda images, magnitude: magnitude,
) -> Operation:
    return Operation(lambda images, magnitude, _: apply(images, scale(images, magnitude)), low, high, signed)


def _without(apply: Callable[[Tensor], Tensor]) -> Operation:
    return Operation(lambda images, magnitude, position: apply(images))


def _widths(images: Tensor, magnitude: Tensor) -> Tensor:
    return magnitude * images.shape[-1]


def _heights(images: Tensor, magnitude: Tensor) -> Tensor:
    return magnitude * images.shape[-2]


def _cutout(images: Tensor, magnitude: Tensor, position: Tensor) -> Tensor:
    size = position.new_tensor([images.shape[-1], images.shape[-2]])
    return ops.cutout(images, _widths(images, magnitude), position * size)


FAST_AUTOAUGMENT = {
    "ShearX": _with(ops.shear_x, -0.3, 0.3, signed=True),
    "ShearY": _with(ops.shear_y, -0.3, 0.3, signed=True),
    "TranslateX": _with(ops.translate_x, -0.45, 0.45, signed=True, scale=_widths),
    "TranslateY": _with(ops.translate_y, -0.45, 0.45, signed=True, scale=_heights),
    "Rotate": _with(ops.rotate, -30.0, 30.0, signed=True),
    "Solarize": _with(ops.solarize, 0.0, 256.0),
    "Posterize": _with(ops.posterize, 4.0, 8.0),
    "Contrast": _with(ops.contrast, 0.1, 1.9),
    "Color": _with(ops.color, 0.1, 1.9),
    "Brightness": _with(ops.brightness, 0.1, 1.9),
    "Sharpness": _with(ops.sharpness, 0.1, 1.9),
    "Cutout": Operation(_cutout, 0.0, 0.2),
    "AutoContrast": _without(ops.auto_contrast),
    "Invert": _without(ops.invert),
    "Equalize": _without(ops.equalize),
}
"""The operations of Lim et al. 2019; translations and Cutout in parts of the side, Rotate in degrees."""

_enhance = partial(_with, low=0.0, high=0.99, signed=True, scale=lambda images, magnitude: 1 + magnitude)
_whole_pixels = partial(_with, low=0.0, high=32.0, signed=True, scale=lambda images, magnitude: magnitude.trunc())

TRIVIAL_WIDE = {
    "Identity": _without(torch.clone),
    "ShearX": _with(ops.shear_x, 0.0, 0.99, signed=True),
    "ShearY": _with(ops.shear_y, 0.0, 0.99, signed=True),
    "TranslateX": _whole_pixels(ops.translate_x),
    "TranslateY": _whole_pixels(ops.translate_y),
    "Rotate": _with(ops.rotate, 0.0, 135.0, signed=True),
    "Brightness": _enhance(ops.brightness),
    "Color": _enhance(ops.color),
    "Contrast": _enhance(ops.contrast),
    "Sharpness": _enhance(ops.sharpness),
    "Posterize": _with(ops.posterize, 8.0, 2.0, scale=lambda images, magnitude: magnitude.round()),
    "Solarize": _with(ops.solarize, 255.0, 0.0),
    "AutoContrast": _without(ops.auto_contrast),
    "Equalize": _without(ops.equalize),
}
"""The wide ranges of Müller & Hutter 2021; translations in pixels."""


def load_policy(name_or_path: str) -> list[SubPolicy]:
    """Read and check the sub-policies of a name or a JSON file.

    Args:
        name_or_path: "fa-cifar10", "fa-svhn", "trivial" or a path.

    Returns:
        Sub-policies, of which every image draws one uniformly. TrivialAugment is all pairs of an operation and one
        of 31 levels.

    Raises:
        InputError: the file is missing, is not JSON, or holds anything but known operations and numbers in [0, 1].

    Source: Lim et al. 2019 (policies/README.md); Müller & Hutter 2021.

    >>> len(load_policy("fa-cifar10")), len(load_policy("trivial"))
    (493, 434)
    """
    if name_or_path == "trivial":
        levels = [i / (_TRIVIAL_BINS - 1) for i in range(_TRIVIAL_BINS)]
        return [[(name, 1.0, level)] for name in TRIVIAL_WIDE for level in levels]
    named = name_or_path in _FILES
    path = Path(__file__).parent / "policies" / _FILES[name_or_path] if named else Path(name_or_path)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(["trivial", *_FILES])
        raise InputError(
            f"cannot read the policy {path}: {error.strerror}; name a JSON file or one of {known}"
        ) from error
    except ValueError as error:
        raise InputError(f"policy {path} is not JSON ({error}); correct the file") from error
    if not isinstance(raw, list) or not raw:
        raise InputError(f"policy {path} must be a list of one or more sub-policies; see lcfs/policies/README.md")
    return [_check_sub_policy(sub, f"sub-policy {i} of {path}") for i, sub in enumerate(raw)]


def _check_sub_policy(raw: object, where: str) -> SubPolicy:
    if not isinstance(raw, list) or not raw:
        raise InputError(f"{where} must be a list of one or more [operation, probability, level], got {raw!r}")
    checked = []
    for step in raw:
        if not isinstance(step, list) or len(step) != 3:
            raise InputError(f"{where} holds {step!r}, expected [operation, probability, level]")
        name, *numbers = step
        if not isinstance(name, str) or name not in FAST_AUTOAUGMENT:
            raise InputError(f"{where} names the operation {name!r}, expected one of {', '.join(FAST_AUTOAUGMENT)}")
        for label, value in zip(("probability", "level"), numbers, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise InputError(f"{where} gives {name} the {label} {value!r}; it must lie in [0, 1]")
        checked.append((name, float(numbers[0]), float(numbers[1])))
    return checked


class _Policy:
    """Sub-policies as tables [s, k] of s sub-policies with at most k steps; a missing step has probability zero."""

    def __init__(self, name_or_path: str) -> None:
        table = TRIVIAL_WIDE if name_or_path == "trivial" else FAST_AUTOAUGMENT
        index = {name: i for i, name in enumerate(table)}
        self.operations = list(table.values())
        policy = load_policy(name_or_path)
        shape = len(policy), max(map(len, policy))
        self.operation = torch.zeros(shape, dtype=torch.int64)
        self.probability, self.magnitude, self.signed = (torch.zeros(shape, dtype=torch.float64) for _ in range(3))
        for s, sub in enumerate(policy):
            for k, (name, probability, level) in enumerate(sub):
                op = table[name]
                self.operation[s, k], self.probability[s, k] = index[name], probability
                self.magnitude[s, k], self.signed[s, k] = level * (op.high - op.low) + op.low, op.signed

    def __call__(self, images: UInt8[Tensor, "b c h w"], generator: Generator) -> UInt8[Tensor, "b c h w"]:
        b, device = len(images), images.device
        drawn = torch.randint(len(self.operation), (b,), generator=generator, device=device)
        tables = (self.operation, self.probability, self.magnitude, self.signed)
        operation, probability, magnitude, signed = (t.to(device)[drawn] for t in tables)
        images = images.clone()
        for k in range(operation.shape[1]):
            # Columns: applied or not, sign, and the two coordinates of a Cutout, drawn for all to keep samples apart.
            uniform = torch.rand(b, 4, dtype=torch.float64, generator=generator, device=device)
            flipped = torch.where((uniform[:, 1] < 0.5) & (signed[:, k] > 0), -magnitude[:, k], magnitude[:, k])
            skip = len(self.operations)
            chosen = torch.where(uniform[:, 0] < probability[:, k], operation[:, k], skip)
            # One sort and one count per step: a single wait for the device instead of one per operation.
            counts = chosen.bincount(minlength=skip + 1).tolist()
            groups = chosen.argsort(stable=True).split(counts)[:skip]
            for op, rows in zip(self.operations, groups, strict=True):
                if len(rows):
                    images[rows] = op.apply(images[rows], flipped[rows], uniform[rows, 2:])
        return images


class Augment:
    """Policy, crop, flip, normalization, Cutout and permutation of the pixels, in this order.

    The policy works on bytes; the crop pads with black; Cutout writes zero *after* normalization, the mean colour,
    as in the training code of Lim et al.

    Args:
        config: what to apply.
        mean: per channel, in pixels scaled to [0, 1].
        std: likewise, positive.
        permutation: new pixel i is old pixel permutation[i], in every channel, [h·w]; None keeps the order.

    Raises:
        InputError: a bad policy, a negative crop or cutout, or `permutation` is not one.
    """

    def __init__(
        self,
        config: AugmentConfig,
        mean: Sequence[float],
        std: Sequence[float],
        permutation: Int64[Tensor, " hw"] | None = None,
    ) -> None:
        for name, value in (("crop", config.crop), ("cutout", config.cutout)):
            if value < 0:
                raise InputError(f"augment.{name} must be 0 or more pixels, got {value}")
        if permutation is not None and not torch.equal(
            permutation.sort().values, torch.arange(len(permutation), device=permutation.device)
        ):
            raise InputError(
                f"permutation must hold each of 0…{len(permutation) - 1} once; make it with torch.randperm"
            )
        self.config, self.mean, self.std, self.permutation = config, tuple(mean), tuple(std), permutation
        self._policy = None if config.policy == "none" else _Policy(config.policy)

    def __call__(self, images: UInt8[Tensor, "b c h w"], generator: Generator) -> Float32[Tensor, "b c h w"]:
        """Augment a batch; every draw comes from `generator`, which lives on the images' device."""
        config = self.config
        if self._policy is not None:
            images = self._policy(images, generator)
        if config.crop:
            images = _random_crop(images, config.crop, generator)
        if config.flip:
            flipped = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
            images = torch.where(flipped, images.flip(-1), images)
        output = normalize(images, self.mean, self.std)
        if config.cutout:
            output = _random_cutout(output, config.cutout, generator)
        return _permute(output, self.permutation)


def normalize(
    images: UInt8[Tensor, "b c h w"],
    mean: Sequence[float],
    std: Sequence[float],
    permutation: Int64[Tensor, " hw"] | None = None,
) -> Float32[Tensor, "b c h w"]:
    """(images / 255 − mean) / std per channel, then the permutation of the pixels: what evaluation sees.

    Raises:
        InputError: `mean`, `std` or `permutation` does not fit the images.
    """
    c = images.shape[1]
    if len(mean) != c or len(std) != c:
        raise InputError(f"images have {c} channels, but mean has {len(mean)} and std {len(std)}; give one per channel")
    center, scale = (
        torch.tensor(list(v), dtype=torch.float32, device=images.device).view(1, c, 1, 1) for v in (mean, std)
    )
    return _permute(images.float().div_(255).sub_(center).div_(scale), permutation)


def _permute(images: Float[Tensor, "b c h w"], permutation: Tensor | None) -> Float[Tensor, "b c h w"]:
    if permutation is None:
        return images
    h, w = images.shape[-2:]
    if len(permutation) != h * w:
        raise InputError(f"permutation has {len(permutation)} entries, expected {h * w} for images of {h}×{w} pixels")
    flat = images.flatten(2)
    # gather: index_select along the last dimension takes fifteen times as long on a CPU.
    return flat.gather(2, permutation.to(images.device).expand_as(flat)).view_as(images)


def _random_crop(images: Tensor, padding: int, generator: Generator) -> Tensor:
    b, _, h, w = images.shape
    windows = torch.nn.functional.pad(images, (padding,) * 4).unfold(2, h, 1).unfold(3, w, 1)
    top, left = torch.randint(2 * padding + 1, (2, b), generator=generator, device=images.device)
    return windows[torch.arange(b, device=images.device), :, top, left]


def _random_cutout(images: Tensor, side: int, generator: Generator) -> Tensor:
    # The centre is uniform over the pixels, so the square may stick out, as in DeVries & Taylor 2017.
    b, _, h, w = images.shape
    inside = []
    for length in (h, w):
        start = torch.randint(length, (b, 1), generator=generator, device=images.device) - side // 2
        position = torch.arange(length, device=images.device)
        inside.append((position >= start) & (position < start + side))
    rows, columns = inside
    return images.masked_fill_((rows[:, :, None] & columns[:, None, :]).unsqueeze(1), 0.0)
