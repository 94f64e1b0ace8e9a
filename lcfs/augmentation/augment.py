"""Random augmentation of a batch on its device: every image draws for itself, from one generator."""

from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Generator, Tensor

from lcfs.augmentation.policy import Policy
from lcfs.config import AugmentConfig
from lcfs.errors import InputError
from lcfs.ranks.ranks import ALONE, Ranks


class Augment:
    """Policy, crop, flip, normalization, Cutout and permutation of the pixels, in this order.

    The policy works on bytes; the crop pads with black; Cutout writes zero *after* normalization, the mean colour,
    as in the training code of Lim et al.

    Args:
        config: what to apply.
        mean: per channel, in pixels scaled to [0, 1].
        std: likewise, positive.
        permutation: new pixel i is old pixel permutation[i], in every channel, [h·w]; None keeps the order.
        ranks: the ranks that hold a part each of every batch; each draws for the whole batch.

    Raises:
        InputError: a bad policy, a negative crop or cutout, or `permutation` is not one.
    """

    def __init__(
        self,
        config: AugmentConfig,
        mean: Sequence[float],
        std: Sequence[float],
        permutation: Int64[Tensor, " hw"] | None = None,
        ranks: Ranks = ALONE,
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
        self.ranks = ranks
        self._policy = None if config.policy == "none" else Policy(config.policy, ranks)

    def __call__(self, images: UInt8[Tensor, "b c h w"], generator: Generator) -> Float32[Tensor, "b c h w"]:
        """Augment a batch; every draw comes from `generator`, which lives on the images' device."""
        config = self.config
        if self._policy is not None:
            images = self._policy(images, generator)
        if config.crop:
            images = _random_crop(images, config.crop, generator, self.ranks)
        if config.flip:
            whole = self.ranks.whole(len(images))
            flipped = torch.rand(whole, generator=generator, device=images.device) < 0.5
            images = _flip(images, self.ranks.own(flipped))
        output = normalize(images, self.mean, self.std)
        if config.cutout:
            output = _random_cutout(output, config.cutout, generator, self.ranks)
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
    center, scale = (_per_channel(tuple(v), images.device) for v in (mean, std))
    return _permute(images.float().div_(255).sub_(center).div_(scale), permutation)


@cache  # on a GPU, sending it makes the host wait
def _per_channel(values: tuple[float, ...], device: torch.device) -> Float32[Tensor, "1 c 1 1"]:
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)


def _permute(images: Float[Tensor, "b c h w"], permutation: Tensor | None) -> Float[Tensor, "b c h w"]:
    if permutation is None:
        return images
    h, w = images.shape[-2:]
    if len(permutation) != h * w:
        raise InputError(f"permutation has {len(permutation)} entries, expected {h * w} for images of {h}×{w} pixels")
    flat = images.flatten(2)
    # gather: index_select along the last dimension takes fifteen times as long on a CPU.
    return flat.gather(2, permutation.to(images.device).expand_as(flat)).view_as(images)


# index_select copies whole rows: indexing and `where`, element by element, take four times as long and more on a CPU.


def _flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Mirror the images `[b, c, h, w]` where `flipped [b]`."""
    both = torch.cat([images, images.flip(-1)])
    b = len(images)
    return both.index_select(0, torch.arange(b, device=images.device) + b * flipped)


def _random_crop(images: Tensor, padding: int, generator: Generator, ranks: Ranks) -> Tensor:
    b, c, h, w = images.shape
    drawn = torch.randint(2 * padding + 1, (2, ranks.whole(b)), generator=generator, device=images.device)
    top, left = ranks.own(drawn, dim=1)
    padded = torch.nn.functional.pad(images, (padding,) * 4).contiguous()
    height, width = padded.shape[2:]
    planes, rows = (torch.arange(n, device=images.device) for n in (b * c, h))
    corners = planes.view(b, c) * (height * width) + (top * width + left)[:, None]
    starts = corners[:, :, None] + rows * width  # in `padded`, of each row of the output
    runs = padded.as_strided((padded.numel() - w + 1, w), (1, 1))  # w pixels from each one onwards
    return runs.index_select(0, starts.flatten()).view(b, c, h, w)


def _random_cutout(images: Tensor, side: int, generator: Generator, ranks: Ranks) -> Tensor:
    # The centre is uniform over the pixels, so the square may stick out, as in DeVries & Taylor 2017.
    b, _, h, w = images.shape
    inside = []
    for length in (h, w):
        centre = torch.randint(length, (ranks.whole(b), 1), generator=generator, device=images.device)
        start = ranks.own(centre) - side // 2
        position = torch.arange(length, device=images.device)
        inside.append((position >= start) & (position < start + side))
    rows, columns = inside
    return images.masked_fill_((rows[:, :, None] & columns[:, None, :]).unsqueeze(1), 0.0)
