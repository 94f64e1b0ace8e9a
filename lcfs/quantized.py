"""A small convolutional classifier that is a function of a few thousand integers, made to have a short description.

Every weight is level · 2^exponent with a level in −K…K; kernels are separable and mirror-symmetric, blocks are shared
across depth and resolution, and what could be fixed before seeing data is fixed: the colours, the filters of the first
layer and a normalization per image without parameters. Nothing depends on statistics of a data set or of a batch.

The levels, exponents and first layer are exact in float32; the normalization divides by a square root, so logits agree
between machines up to rounding only.
"""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from lcfs.errors import InputError

_TAPS = ((1, 3, 3, 1), (-1, -1, 1, 1), (1, -1, -1, 1))  # smoothing, first and second difference
_ORDERS = tuple((y, x) for y in range(3) for x in range(3) if y + x <= 2)


@dataclass(frozen=True)
class Architecture:
    """All that the decoder needs beside the integers. Source of the default: the log of studies/tiny_certificate.py."""

    channels: int = 24
    """Width of every block, at least 1."""
    stages: tuple[tuple[int, ...], ...] = ((), (0, 0), (1, 1, 2, 2))
    """Which block is applied, in order, at 1/2, 1/4, 1/8 … of the resolution; one index twice is one block twice."""
    kernel_size: int = 3
    """Side of the depthwise kernels, odd."""
    symmetric: bool = True
    """Depthwise kernels equal their mirror image, and so does the answer: a flipped image gets the same logits."""
    levels: int = 2
    """K of kernels and channel mixing: 1 is ternary, 2 quinary."""
    head_levels: int = 3
    """K of the last linear layer."""
    bias_levels: int = 3
    """K of the biases, which come in steps of a quarter of the normalized activations."""

    def __post_init__(self) -> None:
        if min(self.channels, self.levels, self.head_levels, self.bias_levels) < 1 or self.kernel_size % 2 == 0:
            raise InputError(f"channels and levels must be at least 1 and kernel_size odd, got {self}")
        used = set(chain.from_iterable(self.stages))
        if used != set(range(len(used))):
            raise InputError(f"stages must use each block 0…{max(used)} at least once, got {self.stages}")

    def tensors(self, image_channels: int, classes: int) -> dict[str, tuple[tuple[int, ...], int, int]]:
        """name → (shape, K, exponent), in the order in which they are coded."""
        c, k = self.channels, self.kernel_size
        blocks = range(len(set(chain.from_iterable(self.stages))))
        columns = (k + 1) // 2 if self.symmetric else k
        found = {"stem": ((c, front_end_channels(image_channels)), self.levels, 0)}
        for i in blocks:
            found |= {f"kernel{i}": ((c, k, columns), self.levels, 0), f"mix{i}": ((c, c), self.levels, 0)}
        found["head"] = ((classes, c), self.head_levels, round(math.log2(2 / math.sqrt(c))))
        biases = {"stem": c, **{f"mix{i}": c for i in blocks}, "head": classes}
        return found | {f"{name}_bias": ((size,), self.bias_levels, -2) for name, size in biases.items()}


class QuantizedNet(nn.Module):
    """uint8 images [B, image_channels, H, W] → logits [B, classes].

    In evaluation mode the weights are the integers; in training mode they are w + hardness · (round(w) − w), with the
    gradient passed straight to the latent w. H and W must be multiples of 2^len(stages).
    """

    def __init__(self, architecture: Architecture, image_channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.architecture, self.image_channels, self.classes = architecture, image_channels, classes
        self.hardness = 1.0
        self.latent = nn.ParameterDict()
        self._specification = architecture.tensors(image_channels, classes)
        self._exponents = {name: exponent for name, (_, _, exponent) in self._specification.items()}
        for name, (shape, _, _) in self._specification.items():
            spread = 0.0 if name.endswith("_bias") else 0.9 if name == "head" else 0.6  # in levels
            self.latent[name] = nn.Parameter(torch.randn(shape) * spread)

    def levels(self) -> dict[str, np.ndarray]:
        """name → int8 levels in −K…K, in the order in which they are coded."""
        return {name: self._rounded(name).detach().cpu().numpy().astype(np.int8) for name in self._specification}

    def alphabets(self) -> dict[str, int]:
        """name → K."""
        return {name: bound for name, (_, bound, _) in self._specification.items()}

    def exponents(self) -> dict[str, int]:
        """name → e: a weight is level · 2^e. They are set by the architecture and not trained."""
        return dict(self._exponents)

    @torch.no_grad()
    def clip(self) -> None:
        """Keep the latent weights within half a step of the outermost levels; call after every optimizer step."""
        for name, bound in self.alphabets().items():
            self.latent[name].clamp_(-bound - 0.5, bound + 0.5)

    def forward(self, images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b classes"]:
        """Logits of whole images."""
        return self.classify(front_end(images))

    def classify(self, features: Float[Tensor, "b f rows columns"]) -> Float[Tensor, "b classes"]:
        """Logits from what `front_end` computed, which needs doing only once."""
        a = self.architecture
        w = {name: self._weight(name) for name in self._specification}
        x = _activate(F.conv2d(features, w["stem"][..., None, None]), w["stem_bias"])
        for depth, blocks in enumerate(a.stages):
            x = F.avg_pool2d(x, 2) if depth else x
            for i in blocks:
                kernel = w[f"kernel{i}"]
                if a.symmetric:
                    kernel = torch.cat([kernel, kernel[..., : a.kernel_size // 2].flip(-1)], -1)
                y = x + F.conv2d(x, kernel[:, None], padding=a.kernel_size // 2, groups=a.channels)
                x = x + _activate(F.conv2d(y, w[f"mix{i}"][..., None, None]), w[f"mix{i}_bias"])
        pooled = F.layer_norm(x.float().mean((2, 3)), (a.channels,))
        return F.linear(pooled, w["head"], w["head_bias"])

    def _rounded(self, name: str) -> Tensor:
        bound = self._specification[name][1]
        return self.latent[name].round().clamp(-bound, bound)

    def _weight(self, name: str) -> Tensor:
        latent, rounded = self.latent[name], self._rounded(name)
        value = latent + self.hardness * (rounded - latent).detach() if self.training else rounded
        return value * 2.0 ** self._exponents[name]


def from_levels(
    architecture: Architecture,
    levels: Mapping[str, np.ndarray],
    exponents: Mapping[str, int],
    *,
    image_channels: int = 3,
    classes: int = 10,
) -> QuantizedNet:
    """The decoder's side: the net in evaluation mode, from its integers alone.

    Raises:
        InputError: a tensor is missing or superfluous, or has another shape, type or range than the architecture says.
    """
    net = QuantizedNet(architecture, image_channels, classes).eval()
    for kind, given in (("levels", levels), ("exponents", exponents)):
        if wrong := sorted(set(given) ^ set(net.exponents())):
            raise InputError(f"{kind} and architecture differ in {', '.join(wrong)}; use what one net returned")
    for name, (shape, bound, _) in architecture.tensors(image_channels, classes).items():
        found = np.asarray(levels[name])
        if found.shape != shape or found.dtype.kind not in "iu" or np.any((found < -bound) | (found > bound)):
            raise InputError(
                f"levels of {name} must be integers in −{bound}…{bound} of shape {shape}, got {found.dtype} {found.shape}"
            )
        net.latent[name].data = torch.from_numpy(found.astype(np.float32))
        if not -126 <= exponents[name] <= 127:
            raise InputError(f"the exponent of {name} must lie in −126…127, got {exponents[name]}")
    net._exponents = {name: int(exponents[name]) for name in net._specification}
    return net.requires_grad_(False)


def front_end_channels(image_channels: int) -> int:
    """Channels that `front_end` makes of an image: per colour six differences and three moduli."""
    return image_channels * (len(_ORDERS) + 3)


def front_end(images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b f rows columns"]:
    """Smoothed differences up to second order of the opponent colours, at half the resolution; nothing is learned.

    A difference that changes sign under a flip enters as its modulus only, the others as themselves and their modulus.
    Multiples of 2^-13 below 2^11 throughout: exact in float32.
    """
    x = images.float()
    if images.shape[1] == 3:
        r, g, b = x.unbind(1)
        x = torch.stack([r + g + b - 384, 2 * (r - b), 2 * (2 * g - r - b)], 1)  # factors even out natural images
    else:
        x = 3 * x - 384
    batch, channels, height, width = x.shape
    taps = torch.tensor(_TAPS, dtype=torch.float32, device=x.device) * torch.tensor([[0.125], [1.0], [1.0]])
    gain = {(0, 0): 1, (0, 1): 2, (1, 0): 2, (1, 1): 1, (0, 2): 4, (2, 0): 4}
    kernels = torch.stack([torch.outer(taps[i], taps[j]) * gain[i, j] for i, j in _ORDERS])
    padded = F.pad(x.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    y = F.conv2d(padded, kernels[:, None], stride=2)
    odd = torch.tensor([j % 2 == 1 for _, j in _ORDERS])
    even = [n for n, (i, j) in enumerate(_ORDERS) if j % 2 == 0 and i + j > 0]
    y = torch.cat([torch.where(odd[:, None, None], y.abs(), y), y[:, even].abs()], 1)
    return y.reshape(batch, -1, height // 2, width // 2) / 128


def code_length_bits(net: QuantizedNet) -> float:
    """Bits of the whole description: header in Elias δ, then each tensor by the adaptive KT code over its 2K+1 levels.

    An estimate for choosing and logging: an arithmetic coder adds at most two bits to each tensor.
    """
    alphabets = net.alphabets()
    return header_bits(net.architecture, net.exponents()) + sum(
        kt_bits(np.bincount(level.ravel() + alphabets[name], minlength=2 * alphabets[name] + 1))
        for name, level in net.levels().items()
    )


def kt_bits(counts: np.ndarray) -> float:
    """−log2 of Π (c_t + ½) / (t + A/2), the adaptive Dirichlet-½ code of a word with these counts of A symbols.

    In closed form log2 Γ(n + A/2)/Γ(A/2) − Σ log2 Γ(c + ½)/Γ(½). Source: Krichevsky and Trofimov 1981.
    """
    half = len(counts) / 2
    nats = math.lgamma(int(counts.sum()) + half) - math.lgamma(half)
    return (nats - sum(math.lgamma(int(c) + 0.5) - math.lgamma(0.5) for c in counts)) / math.log(2)


def header_bits(architecture: Architecture, exponents: Mapping[str, int]) -> int:
    """Elias δ of each number of the architecture plus one, of the lengths of its lists, and of the zigzag exponents."""
    numbers: list[int] = []
    for field in astuple(architecture):
        if isinstance(field, tuple):
            numbers += [len(field), *chain.from_iterable((len(stage), *stage) for stage in field)]
        else:
            numbers.append(int(field))
    numbers += [2 * e if e >= 0 else -2 * e - 1 for e in exponents.values()]
    return sum(_elias_delta_bits(number + 1) for number in numbers)


def _elias_delta_bits(number: int) -> int:
    size = number.bit_length()
    return size - 1 + 2 * size.bit_length() - 1


def _activate(x: Tensor, bias: Tensor) -> Tensor:
    """max(0, x normalized over a whole image, per image, + bias)."""
    return F.relu(F.group_norm(x, 1) + bias[:, None, None])
