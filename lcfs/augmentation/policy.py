"""Augmentation policies: the operations that may be named, and sub-policies of which every image draws its own."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Generator, Tensor

from lcfs.augmentation import pixel_operations as ops
from lcfs.augmentation import policy_gpu
from lcfs.errors import InputError
from lcfs.ranks.ranks import ALONE, Ranks

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
    name: str = "cutout"
    """The function of `lcfs.augmentation.pixel_operations`."""
    scale: Callable[[Tensor, Tensor], Tensor] = lambda images, magnitude: magnitude
    """(images, magnitude [b]) → what that function takes."""


def _with(
    apply: Callable[[Tensor, Tensor], Tensor],
    low: float,
    high: float,
    signed: bool = False,
    scale: Callable[[Tensor, Tensor], Tensor] = lambda images, magnitude: magnitude,
) -> Operation:
    return Operation(
        lambda images, magnitude, _: apply(images, scale(images, magnitude)), low, high, signed, apply.__name__, scale
    )


def _without(apply: Callable[[Tensor], Tensor]) -> Operation:
    return Operation(lambda images, magnitude, position: apply(images), name=apply.__name__)


def _widths(images: Tensor, magnitude: Tensor) -> Tensor:
    return magnitude * images.shape[-1]


def _heights(images: Tensor, magnitude: Tensor) -> Tensor:
    return magnitude * images.shape[-2]


def _cutout(images: Tensor, magnitude: Tensor, position: Tensor) -> Tensor:
    h, w = images.shape[-2:]
    center = torch.stack([position[:, 0] * w, position[:, 1] * h], dim=1)
    return ops.cutout(images, _widths(images, magnitude), center)


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
    "Cutout": Operation(_cutout, 0.0, 0.2, scale=_widths),
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
        raise InputError(f"policy {path} must be a list of one or more sub-policies; see policies/README.md")
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


class Policy:
    """Sub-policies as tables [s, k] of s sub-policies with at most k steps; a missing step has probability zero."""

    def __init__(self, name_or_path: str, ranks: Ranks = ALONE) -> None:
        self.ranks = ranks
        table = TRIVIAL_WIDE if name_or_path == "trivial" else FAST_AUTOAUGMENT
        index = {name: i for i, name in enumerate(table)}
        self.operations = list(table.values())
        policy = load_policy(name_or_path)
        shape = len(policy), max(map(len, policy))
        operation = torch.zeros(shape, dtype=torch.int64)
        probability, magnitude, signed = (torch.zeros(shape, dtype=torch.float64) for _ in range(3))
        for s, sub in enumerate(policy):
            for k, (name, chance, level) in enumerate(sub):
                op = table[name]
                operation[s, k], probability[s, k] = index[name], chance
                magnitude[s, k], signed[s, k] = level * (op.high - op.low) + op.low, op.signed
        self._kernels: dict[tuple[torch.Size, torch.device], policy_gpu.Tables | None] = {}
        self._tables: dict[torch.device, tuple[Tensor, ...]] = {}  # by device: in a recorded step nothing may be sent
        self._tables[torch.device("cpu")] = (operation, probability, magnitude, signed)

    def __call__(self, images: UInt8[Tensor, "b c h w"], generator: Generator) -> UInt8[Tensor, "b c h w"]:
        whole, device = self.ranks.whole(len(images)), images.device
        if device not in self._tables:
            self._tables[device] = tuple(t.to(device) for t in self._tables[torch.device("cpu")])
        sub_policies, steps = self._tables[device][0].shape
        drawn = self.ranks.own(torch.randint(sub_policies, (whole,), generator=generator, device=device))
        kernel = self._kernel(images.shape[1:], device) if device.type == "cuda" else None
        for k in range(steps):
            # Columns: applied or not, sign, and the two coordinates of a Cutout, drawn for all to keep samples apart.
            uniform = self.ranks.own(torch.rand(whole, 4, dtype=torch.float64, generator=generator, device=device))
            if kernel is not None:
                images = policy_gpu.apply(kernel, images, drawn, uniform, k)
            else:
                images = self.step(images, drawn, uniform, k)
        return images

    def step(
        self,
        images: UInt8[Tensor, "b c h w"],
        drawn: Int64[Tensor, " b"],
        uniform: Float64[Tensor, "b 4"],
        k: int,
    ) -> UInt8[Tensor, "b c h w"]:
        """Step k of the sub-policies `drawn`: `grouped` on a CPU, `everywhere` elsewhere, since the host must not wait.

        Columns of `uniform`: applied or not, sign, position of a Cutout. `policy_gpu.apply` does the same.
        """
        operation, probability, magnitude, signed = (t[drawn, k] for t in self._tables[images.device])
        flipped = torch.where((uniform[:, 1] < 0.5) & (signed > 0), -magnitude, magnitude)
        chosen = torch.where(uniform[:, 0] < probability, operation, len(self.operations))
        apply = self.grouped if images.device.type == "cpu" else self.everywhere
        return apply(images, chosen, flipped, uniform[:, 2:])

    def grouped(
        self,
        images: UInt8[Tensor, "b c h w"],
        chosen: Int64[Tensor, " b"],
        magnitude: Float64[Tensor, " b"],
        position: Float64[Tensor, "b 2"],
    ) -> UInt8[Tensor, "b c h w"]:
        """Every operation on the images that chose it, `len(operations)` being none: least work, but the host waits."""
        images, none = images.clone(), len(self.operations)
        counts = chosen.bincount(minlength=none + 1).tolist()
        groups = chosen.argsort(stable=True).split(counts)[:none]
        for op, rows in zip(self.operations, groups, strict=True):
            if len(rows):
                images[rows] = op.apply(images[rows], magnitude[rows], position[rows])
        return images

    def everywhere(
        self,
        images: UInt8[Tensor, "b c h w"],
        chosen: Int64[Tensor, " b"],
        magnitude: Float64[Tensor, " b"],
        position: Float64[Tensor, "b 2"],
    ) -> UInt8[Tensor, "b c h w"]:
        """Every operation on all images, of which each keeps its own: same result, no shape depends on a draw."""
        result = images
        for i, op in enumerate(self.operations):
            here = chosen == i
            image = op.apply(images, torch.where(here, magnitude, op.low), position)
            result = torch.where(here.view(-1, 1, 1, 1), image, result)
        return result

    def _kernel(self, shape: torch.Size, device: torch.device) -> policy_gpu.Tables | None:
        """Tables for the kernel, or None where it does not work; tried once for each shape `[c, h, w]` and device."""
        if (shape, device) not in self._kernels:
            self._kernels[shape, device] = self._tried(shape, device)
        return self._kernels[shape, device]

    def _tried(self, shape: torch.Size, device: torch.device) -> policy_gpu.Tables | None:
        if policy_gpu.triton is None:
            return None
        cpu, state = torch.device("cpu"), torch.Generator().manual_seed(0)
        sub_policies, steps = self._tables[cpu][0].shape
        images = torch.randint(256, (sub_policies, *shape), dtype=torch.uint8, generator=state)
        drawn, uniform = torch.arange(sub_policies), torch.rand(sub_policies, 4, dtype=torch.float64, generator=state)
        try:
            tables = policy_gpu.tabulate(self.operations, self._tables[cpu], shape, device)
            there = images.to(device), drawn.to(device), uniform.to(device)
            if all(
                torch.equal(policy_gpu.apply(tables, *there, k).to(cpu), self.step(images, drawn, uniform, k))
                for k in range(steps)
            ):
                return tables
            reason = "its images differ from a CPU's"
        except Exception as error:  # from Triton, its compilers or the driver; what follows does the same, only slower
            reason = f"{type(error).__name__}: {error}"
        warnings.warn(
            f"Triton's augmentation is not used on {device} ({reason}); torch's takes its place", stacklevel=2
        )
        return None
