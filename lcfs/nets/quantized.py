"""A small convolutional classifier that is a function of a few thousand integers, made to have a short description.

Every weight is level · 2^exponent with a level in −K…K; kernels are separable from the mixing of channels and
mirror-symmetric, blocks are shared across depth and resolution, and what need not be learned is fixed: the first layer
(`lcfs.nets.fixed_features`), the exponents and a normalization per image without parameters. Nothing depends on
statistics of a data set or of a batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from lcfs.errors import InputError
from lcfs.nets.fixed_features import front_end, front_end_channels

_MOST_CHANNELS = 256  # with the next two, what a forged description can ask a verifier to compute
_LARGEST_KERNEL = 15
_MOST_BLOCKS = 64
EPSILON = 1e-5
"""What normalization adds to a variance."""


@dataclass(frozen=True)
class QuantizedTensor:
    """An integer tensor of the net: entries i in −bound…bound of this shape, which stand for i · 2^exponent."""

    shape: tuple[int, ...]
    bound: int
    exponent: int


@dataclass(frozen=True)
class Architecture:
    """All that the decoder needs beside the integers and the sizes of image and answer."""

    channels: int = 24
    """Width of every block, 1…256."""
    stages: tuple[tuple[int, ...], ...] = ((), (0, 0), (1, 1, 2, 2))
    """Which block is applied, in order, at 1/2, 1/4, 1/8 … of the resolution; one index twice is one block twice."""
    kernel_size: int = 3
    """Side of the depthwise kernels, odd, 1…15."""
    symmetric: bool = True
    """Depthwise kernels equal their mirror image, and so does the answer: a flipped image gets the same logits."""
    levels: int = 2
    """K of kernels and channel mixing, 1…127: 1 is ternary, 2 quinary."""
    head_levels: int = 3
    """K of the last linear layer and of the biases, 1…127."""

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= _MOST_CHANNELS:
            raise InputError(f"channels must lie in 1…{_MOST_CHANNELS}, got {self.channels}")
        if not 1 <= self.kernel_size <= _LARGEST_KERNEL or self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd and lie in 1…{_LARGEST_KERNEL}, got {self.kernel_size}")
        if not 1 <= min(self.levels, self.head_levels) <= max(self.levels, self.head_levels) <= 127:
            raise InputError(f"levels must lie in 1…127, got {self.levels} and {self.head_levels}")
        applied = list(chain.from_iterable(self.stages))
        if not self.stages or sorted(set(applied)) != list(range(len(set(applied)))):
            raise InputError(f"stages must be at least one and use the blocks 0, 1, … without a gap, got {self.stages}")
        if len(applied) > _MOST_BLOCKS:
            raise InputError(f"at most {_MOST_BLOCKS} blocks can be applied, got {len(applied)}")

    def check_image(self, image: tuple[int, ...]) -> None:
        """Raises InputError unless height and width can be halved once a stage."""
        step = 2 ** len(self.stages)
        if min(image) < 1 or image[1] % step or image[2] % step:
            raise InputError(f"height and width must be multiples of {step} for {len(self.stages)} stages, got {image}")

    def tensors(self, image_channels: int, classes: int) -> dict[str, QuantizedTensor]:
        """Everything that is learned, by name, in the order in which it is coded."""
        c, k, head_exponent = self.channels, self.kernel_size, 1 - self.channels.bit_length() // 2  # about 2 / √c
        blocks = range(len(set(chain.from_iterable(self.stages))))
        columns = (k + 1) // 2 if self.symmetric else k
        tensors = {"stem": QuantizedTensor((c, front_end_channels(image_channels)), self.levels, 0)}
        for i in blocks:
            tensors[f"kernel{i}"] = QuantizedTensor((c, k, columns), self.levels, 0)
            tensors[f"mix{i}"] = QuantizedTensor((c, c), self.levels, 0)
        tensors["head"] = QuantizedTensor((classes, c), self.head_levels, head_exponent)
        biases = {"stem": c, **{f"mix{i}": c for i in blocks}, "head": classes}
        return tensors | {
            f"{name}_bias": QuantizedTensor((size,), self.head_levels, -2) for name, size in biases.items()
        }


class QuantizedNet(nn.Module):
    """uint8 images [b, image_channels, h, w] → logits [b, classes].

    In evaluation mode the weights are the integers; in training mode they are w + hardness · (round(w) − w), with the
    gradient passed straight to the latent w. h and w must be multiples of 2^len(stages).
    """

    def __init__(self, architecture: Architecture, image_channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.architecture = architecture
        self.specification = architecture.tensors(image_channels, classes)
        self.hardness = 1.0
        self.latent = nn.ParameterDict()
        for name, tensor in self.specification.items():
            spread = 0.0 if name.endswith("_bias") else 0.9 if name == "head" else 0.6  # in levels
            self.latent[name] = nn.Parameter(torch.randn(tensor.shape) * spread)

    def integers(self) -> dict[str, np.ndarray]:
        """name → int8 in −K…K, in the order in which they are coded."""
        return {name: self._rounded(name).detach().cpu().numpy().astype(np.int8) for name in self.specification}

    @torch.no_grad()
    def clip(self) -> None:
        """Keep the latent weights within half a step of the outermost levels; call after every optimizer step."""
        for name, tensor in self.specification.items():
            self.latent[name].clamp_(-tensor.bound - 0.5, tensor.bound + 0.5)

    @torch.no_grad()
    def settle(self) -> None:
        """Make the latent weights the levels that they stand for."""
        for name in self.specification:
            self.latent[name].copy_(self._rounded(name))

    def forward(self, images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b classes"]:
        """Logits of whole images, computed in the precision of the parameters."""
        return self.classify(front_end(images).to(self.latent["stem"].dtype))

    def classify(self, features: Float[Tensor, "b f rows columns"]) -> Float[Tensor, "b classes"]:
        """Logits from what `front_end` computed, which needs doing only once."""
        w = {name: self.weight(name) for name in self.specification}
        x = _activate(F.conv2d(features, w["stem"][..., None, None]), w["stem_bias"])
        for depth, blocks in enumerate(self.architecture.stages):
            x = F.avg_pool2d(x, 2) if depth else x
            for i in blocks:
                x = x + _activate(self._mixed(x, w[f"kernel{i}"], w[f"mix{i}"]), w[f"mix{i}_bias"])
        pooled = x.to(w["head"].dtype).mean((2, 3))
        return F.linear(F.layer_norm(pooled, pooled.shape[1:], eps=EPSILON), w["head"], w["head_bias"])

    def _mixed(self, x: Tensor, kernel: Tensor, mix: Tensor) -> Tensor:
        """mix (x + kernel ∗ x), the kernel depthwise."""
        size = self.architecture.kernel_size
        y = x + F.conv2d(x, self.whole_kernel(kernel)[:, None], padding=size // 2, groups=x.shape[1])
        return F.conv2d(y, mix[..., None, None])

    def whole_kernel(self, kernel: Float[Tensor, "c k columns"]) -> Float[Tensor, "c k k"]:
        """Depthwise kernels with the columns that mirror symmetry makes superfluous."""
        if not self.architecture.symmetric:
            return kernel
        return torch.cat([kernel, kernel[..., : self.architecture.kernel_size // 2].flip(-1)], -1)

    def _rounded(self, name: str) -> Tensor:
        bound = self.specification[name].bound
        return self.latent[name].round().clamp(-bound, bound)

    def weight(self, name: str) -> Tensor:
        """What a tensor's integers stand for; in training mode hardened as far as `hardness` says."""
        latent, rounded = self.latent[name], self._rounded(name)
        value = latent + self.hardness * (rounded - latent).detach() if self.training else rounded
        return value * 2.0 ** self.specification[name].exponent


def from_integers(
    architecture: Architecture, integers: Mapping[str, np.ndarray], *, image_channels: int = 3, classes: int = 10
) -> QuantizedNet:
    """The decoder's side: the net in evaluation mode, from its integers alone.

    Raises:
        InputError: a tensor is missing or superfluous, or has another shape, type or range than the architecture says.
    """
    net = QuantizedNet(architecture, image_channels, classes).eval()
    if wrong := sorted(set(integers) ^ set(net.specification)):
        raise InputError(f"integers and architecture differ in {', '.join(wrong)}; use what one net returned")
    for name, tensor in net.specification.items():
        given, bound = np.asarray(integers[name]), tensor.bound
        if given.shape != tensor.shape or given.dtype.kind not in "iu" or np.any((given < -bound) | (given > bound)):
            expected = f"integers in −{bound}…{bound} of shape {tensor.shape}"
            raise InputError(f"{name} must be {expected}, got {given.dtype} {given.shape}")
        net.latent[name].data = torch.from_numpy(given.astype(np.float32))
    return net.requires_grad_(False)


def _activate(x: Tensor, bias: Tensor) -> Tensor:
    """max(0, x normalized over a whole image, per image, + bias)."""
    return F.relu(F.group_norm(x, 1, eps=EPSILON) + bias[:, None, None])
