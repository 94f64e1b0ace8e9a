"""Random augmentation of a batch on its device: every image draws for itself, from one generator."""

from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Float, Float32, Int64, Shaped
from torch import Generator, Tensor

from lcfs.augmentation.policy import Policy
from lcfs.config import AugmentConfig
from lcfs.errors import InputError
from lcfs.ranks.ranks import ALONE, Ranks


class Augment:
    """Policy, crop, shift, flip, normalization, noise, Cutout and permutation of the pixels, in this order.

    The policy works on bytes; the crop pads with zeros, which are black; Cutout writes zero *after* normalization, the
    mean colour, as in the training code of Lim et al. On one axis, a crop is a shift with zeros and Cutout a window.

    Args:
        config: what to apply.
        mean: per channel, of bytes scaled to [0, 1], of floats as they are.
        std: likewise, positive.
        permutation: new pixel i is old pixel permutation[i], in every channel, [places]; None keeps the order.
        ranks: the processes that hold a part each of every batch; each draws for the whole batch.

    Raises:
        InputError: a bad policy, a negative size, or `permutation` is not one.
    """

    def __init__(
        self,
        config: AugmentConfig,
        mean: Sequence[float],
        std: Sequence[float],
        permutation: Int64[Tensor, " places"] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        for name, value in (("crop", config.crop), ("shift", config.shift), ("cutout", config.cutout)):
            if value < 0:
                raise InputError(f"augment.{name} must be 0 or more pixels, got {value}")
        if not 0 <= config.noise < float("inf"):
            raise InputError(f"augment.noise must be finite and non-negative, got {config.noise}")
        if permutation is not None and not torch.equal(
            permutation.sort().values, torch.arange(len(permutation), device=permutation.device)
        ):
            raise InputError(
                f"permutation must hold each of 0…{len(permutation) - 1} once; make it with torch.randperm"
            )
        self.config, self.mean, self.std, self.permutation = config, tuple(mean), tuple(std), permutation
        self.ranks = ranks
        self._policy = None if config.policy == "none" else Policy(config.policy, ranks)

    def __call__(self, images: Shaped[Tensor, "b c *grid"], generator: Generator) -> Float32[Tensor, "b c *grid"]:
        """Augment a batch of uint8 or float32; every draw comes from `generator`, which lives on the images' device."""
        config = self.config
        if self._policy is not None:
            if images.dtype != torch.uint8 or images.ndim != 4:
                raise InputError("augment.policy works on images of bytes only; set it to none for other data")
            images = self._policy(images, generator)
        if config.crop:
            images = _random_crop(images, config.crop, generator, self.ranks)
        if config.shift:
            images = _random_shift(images, config.shift, generator, self.ranks)
        if config.flip:
            whole = self.ranks.whole(len(images))
            flipped = torch.rand(whole, generator=generator, device=images.device) < 0.5
            images = _flip(images, self.ranks.own(flipped))
        output = normalize(images, self.mean, self.std)
        if config.noise:
            whole = (self.ranks.whole(len(output)), *output.shape[1:])
            drawn = torch.randn(whole, generator=generator, device=output.device)
            output = output.add_(self.ranks.own(drawn), alpha=config.noise)
        if config.cutout:
            output = _random_cutout(output, config.cutout, generator, self.ranks)
        return _permute(output, self.permutation)


def normalize(
    images: Shaped[Tensor, "b c *grid"],
    mean: Sequence[float],
    std: Sequence[float],
    permutation: Int64[Tensor, " places"] | None = None,
) -> Float32[Tensor, "b c *grid"]:
    """(x − mean) / std per channel, then the permutation of the pixels: what evaluation sees. Bytes are x · 255.

    Raises:
        InputError: `mean`, `std` or `permutation` does not fit the images.
    """
    c = images.shape[1]
    if len(mean) != c or len(std) != c:
        raise InputError(f"images have {c} channels, but mean has {len(mean)} and std {len(std)}; give one per channel")
    center, scale = (_per_channel(tuple(v), images.ndim - 2, images.device) for v in (mean, std))
    if images.dtype == torch.uint8:
        output = images.float().div_(255).sub_(center).div_(scale)
    else:
        output = (images - center).div_(scale)
    return _permute(output, permutation)


@cache  # on a GPU, sending it makes the host wait
def _per_channel(values: tuple[float, ...], axes: int, device: torch.device) -> Float32[Tensor, "1 c *ones"]:
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, *[1] * axes)


def _permute(images: Float[Tensor, "b c *grid"], permutation: Tensor | None) -> Float[Tensor, "b c *grid"]:
    if permutation is None:
        return images
    flat = images.flatten(2)
    if len(permutation) != flat.shape[2]:
        sides = "×".join(map(str, images.shape[2:]))
        raise InputError(
            f"permutation has {len(permutation)} entries, expected {flat.shape[2]} for images of {sides} pixels"
        )
    # gather: index_select along the last dimension takes fifteen times as long on a CPU.
    return flat.gather(2, permutation.to(images.device).expand_as(flat)).view_as(images)


# index_select copies whole rows: indexing and `where`, element by element, take four times as long and more on a CPU.


def _flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Mirror the images `[b, c, *grid]` along their last axis where `flipped [b]`."""
    both = torch.cat([images, images.flip(-1)])
    b = len(images)
    return both.index_select(0, torch.arange(b, device=images.device) + b * flipped)


def _random_crop(images: Tensor, padding: int, generator: Generator, ranks: Ranks) -> Tensor:
    b, c, *grid = images.shape
    drawn = torch.randint(2 * padding + 1, (len(grid), ranks.whole(b)), generator=generator, device=images.device)
    starts = ranks.own(drawn, dim=1)
    padded = torch.nn.functional.pad(images, (padding,) * (2 * len(grid))).contiguous()
    w, width = grid[-1], padded.shape[-1]
    corners = torch.arange(b * c, device=images.device).view(b, c)
    for start, side in zip(starts, padded.shape[2:], strict=True):
        corners = corners * side + start[:, None]
    for height in grid[:-1]:  # of each row of the output, in `padded`
        corners = (corners[..., None] + torch.arange(height, device=images.device) * width).flatten(1)
    runs = padded.as_strided((padded.numel() - w + 1, w), (1, 1))  # w pixels from each one onwards
    return runs.index_select(0, corners.flatten()).view(images.shape)


def _random_shift(images: Tensor, most: int, generator: Generator, ranks: Ranks) -> Tensor:
    """Circular, by −most … most places along every axis."""
    b, _, *grid = images.shape
    drawn = torch.randint(2 * most + 1, (len(grid), ranks.whole(b)), generator=generator, device=images.device)
    places = torch.zeros(b, 1, dtype=torch.int64, device=images.device)
    for shift, side in zip(ranks.own(drawn, dim=1), grid, strict=True):
        own = (torch.arange(side, device=images.device) - (shift - most)[:, None]) % side
        places = (places[:, :, None] * side + own[:, None]).flatten(1)
    flat = images.flatten(2)
    return flat.gather(2, places[:, None].expand_as(flat)).view_as(images)


def _random_cutout(images: Tensor, side: int, generator: Generator, ranks: Ranks) -> Tensor:
    # The centre is uniform over the pixels, so the square may stick out, as in DeVries & Taylor 2017.
    b, _, *grid = images.shape
    inside = torch.ones(b, *[1] * len(grid), dtype=torch.bool, device=images.device)
    for axis, length in enumerate(grid, start=1):
        centre = torch.randint(length, (ranks.whole(b), 1), generator=generator, device=images.device)
        start = ranks.own(centre) - side // 2
        position = torch.arange(length, device=images.device)
        own = (position >= start) & (position < start + side)
        inside = inside & own.view(b, *(length if a == axis else 1 for a in range(1, len(grid) + 1)))
    return images.masked_fill_(inside.unsqueeze(1), 0.0)
