"""ExportedNet: a net for inference, and the description from which it can be built without running anyone's code."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float32, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from lcfs.augmentation import augment
from lcfs.compaction.chain import chain
from lcfs.exporting.csr import CsrLinear, csr_is_faster, csr_of
from lcfs.exporting.simplifying import simplify
from lcfs.nets.layers import LocallyConnected

Kind = Literal["linear", "csr", "conv", "local"]


@dataclass(frozen=True)
class LayerSpec:
    """One layer, followed by ReLU unless it is the last.

    Attributes:
        name: by which its tensors are stored.
        kind: dense, sparse, convolution or LOCAL.
        inputs, outputs: units; channels for conv and local.
        entries: stored non-zeros of csr, else 0.
        height, width: of the images that conv and local see, else 0; height 0 and the length as width of signals.
        kernel, stride, padding: of conv and local, else 0.
    """

    name: str
    kind: Kind
    inputs: int
    outputs: int
    entries: int = 0
    height: int = 0
    width: int = 0
    kernel: int = 0
    stride: int = 0
    padding: int = 0

    def build(self) -> nn.Module:
        """The layer with its tensors on the meta device: shapes only."""
        with torch.device("meta"):
            if self.kind == "linear":
                return nn.Linear(self.inputs, self.outputs)
            if self.kind == "csr":
                return CsrLinear(self.inputs, self.outputs, self.entries)
            if self.kind == "conv":
                convolution = nn.Conv2d if self.height else nn.Conv1d
                return convolution(self.inputs, self.outputs, self.kernel, self.stride, self.padding)
            step, pad = self.stride, self.padding
            return LocallyConnected(self.inputs, self.outputs, self.grid, self.kernel, stride=step, padding=pad)

    @property
    def grid(self) -> tuple[int, ...]:
        """Sides of the images or signals that conv and local see."""
        return (self.height, self.width) if self.height else (self.width,)

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the images or signals that conv and local make."""
        return tuple((n + 2 * self.padding - self.kernel) // self.stride + 1 for n in self.grid)

    def units(self) -> tuple[int, int]:
        """Numbers of units before and after the layer."""
        if self.kind in ("linear", "csr"):
            return self.inputs, self.outputs
        return self.inputs * math.prod(self.grid), self.outputs * math.prod(self.sides)


@dataclass(frozen=True)
class NetSpec:
    """What an exported net is, but for its weights.

    Attributes:
        image: (channels, *grid) of an input.
        mean, std: per channel, of bytes scaled to [0, 1], of floats as they are; empty of a net that is not
            from a run.
        data: name of the data set it was trained on, or "".
        permuted: whether the net takes images whose pixels are permuted.
        layers: in order.
    """

    image: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: str
    permuted: bool
    layers: tuple[LayerSpec, ...]


class ExportedNet(nn.Module):
    """A net in evaluation mode, without BatchNorm: normalized images `[B, *image]` → logits `[B, classes]`."""

    permutation: Tensor | None

    def __init__(self, spec: NetSpec, layers: list[nn.Module]) -> None:
        super().__init__()
        self.spec = spec
        for layer, described in zip(layers, spec.layers, strict=True):
            self.add_module(described.name, layer)
        pixels = torch.empty(math.prod(spec.image[1:]), dtype=torch.int64, device="meta") if spec.permuted else None
        self.register_buffer("permutation", pixels)
        self.eval().requires_grad_(False)

    def forward(self, x: Float32[Tensor, "batch channels *grid"]) -> Float32[Tensor, "batch classes"]:
        """Normalized images, with pixels permuted if `spec.permuted`, to logits."""
        for i, described in enumerate(self.spec.layers):
            if described.kind in ("linear", "csr"):
                x = x.flatten(1)
            elif x.ndim == 2:
                x = x.unflatten(1, (described.inputs, *described.grid))
            x = self.get_submodule(described.name)(x)
            x = x if i + 1 == len(self.spec.layers) else F.relu(x)
        return x

    def classify(self, images: Shaped[Tensor, "batch channels *grid"]) -> Int64[Tensor, " batch"]:
        """Images as they are, bytes or floats, to classes; needs a net from a run, whose normalization is known."""
        return self(augment.normalize(images, self.spec.mean, self.spec.std, self.permutation)).argmax(1)

    def stored_bytes(self) -> int:
        """Memory of all weights and indices."""
        return sum(t.numel() * t.element_size() for t in self.state_dict().values())


def lower(
    model: nn.Module,
    image: tuple[int, ...],
    *,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    data: str = "",
    permutation: Int64[Tensor, " pixels"] | None = None,
    sparse: bool = True,
) -> ExportedNet:
    """An S-, D- or 3-FC net as an `ExportedNet` in float32: `simplify`, then CSR where that is faster.

    Args:
        model: the trained net.
        image: (channels, *grid) of an input.
        mean, std, data, permutation: how images were prepared for it; see `NetSpec`.
        sparse: False keeps every layer dense, e.g. for formats without sparse matrices.

    Raises:
        InputError: a net of another kind.
    """
    layers, specs = [], []
    grid = image[1:]
    for stage in chain(simplify(model).float()):
        layer = stage.layer
        if isinstance(layer, nn.Linear):
            spec = LayerSpec(stage.name, "linear", layer.in_features, layer.out_features)
        else:
            kernel, stride, padding = (
                one if isinstance(one, int) else int(one[0]) for one in (layer.kernel_size, layer.stride, layer.padding)
            )
            kind: Kind = "conv" if isinstance(layer, nn.Conv1d | nn.Conv2d) else "local"
            size = {
                "height": grid[0] if len(grid) == 2 else 0,
                "width": grid[-1],
                "kernel": kernel,
                "stride": stride,
                "padding": padding,
            }
            spec = LayerSpec(stage.name, kind, layer.in_channels, layer.out_channels, **size)
            grid = spec.sides
        if sparse and isinstance(layer, nn.Linear | LocallyConnected) and csr_is_faster(layer):
            before, after = spec.units()
            layer = csr_of(layer)
            spec = LayerSpec(spec.name, "csr", before, after, len(layer.values))
        layers.append(layer)
        specs.append(spec)
    net = ExportedNet(NetSpec(image, mean, std, data, permutation is not None, tuple(specs)), layers)
    net.permutation = permutation
    return net
