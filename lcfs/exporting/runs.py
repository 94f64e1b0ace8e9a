"""lcfs export: from a run directory to a file with its net, and how far the two nets are apart."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lcfs import data
from lcfs.errors import InputError
from lcfs.exporting.files import save
from lcfs.exporting.net import ExportedNet, LayerSpec, lower
from lcfs.exporting.onnx import save_onnx
from lcfs.nets.architectures import count_weights
from lcfs.nets.folding import fold_batchnorm
from lcfs.reading import load_state
from lcfs.runs import Run
from lcfs.runs.nets import net_of

SUFFIXES = (".safetensors", ".onnx")
_PROBES = 64


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        layers: as they were written; of ResNet18, which only loses its BatchNorm, none are listed.
        weights, weight_bytes: of the full net.
        file_bytes: size of the file.
        difference: largest |Δ logit| on 64 random inputs, relative to the largest |logit|.
    """

    layers: tuple[LayerSpec, ...]
    weights: int
    weight_bytes: int
    file_bytes: int
    difference: float


@torch.no_grad()
def export(run: str | Path, output: str | Path, *, checkpoint: str | Path | None = None) -> Exported:
    """Write the net of a run without BatchNorm and dead units, sparse where that is faster.

    Args:
        run: a run directory of `lcfs train`.
        output: the file; its suffix says which format: .safetensors (read it with `lcfs.exporting.load`) or .onnx
            (dense, and with the normalization of images in it).
        checkpoint: a state dict of that net to take instead of the run's newest checkpoint.

    Raises:
        InputError: no such run, a checkpoint of another net, an unknown suffix, a package that ONNX lacks, resnet18 as
            .safetensors.
    """
    output = Path(output)
    if output.suffix not in SUFFIXES:
        raise InputError(f"{output} must end in one of {', '.join(SUFFIXES)}, which says what is written")
    onnx = output.suffix == ".onnx"
    opened = Run.open(Path(run))
    config = opened.config()
    if config.architecture == "resnet18" and not onnx:
        raise InputError(
            f"{output} cannot hold a resnet18, which is no chain of layers; choose a name that ends in .onnx"
        )
    known = data.facts(config.data)
    image, mean, std = known.image, known.mean, known.std
    path = Path(checkpoint) if checkpoint is not None else opened.newest_checkpoint()
    model = net_of(config, load_state(path), image, known.classes, origin=str(path))
    permutation = data.pixel_permutation(config.seed, image) if config.permute_pixels else None
    if config.architecture == "resnet18":
        net = fold_batchnorm(model)
    else:
        net = lower(model, image, mean=mean, std=std, data=config.data, permutation=permutation, sparse=not onnx)
    x = torch.randn(_PROBES, *image, generator=torch.Generator().manual_seed(0))
    expected = model(x)
    difference = (net(x) - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    if isinstance(net, ExportedNet) and not onnx:
        save(net, output)
    else:
        kind = torch.uint8 if known.bytes else torch.float32
        save_onnx(net, output, image=image, mean=mean, std=std, permutation=permutation, dtype=kind)
    layers = net.spec.layers if isinstance(net, ExportedNet) else ()
    weights = count_weights(model)
    return Exported(layers, weights, 4 * weights, output.stat().st_size, difference.item())
