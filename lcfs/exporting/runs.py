"""lcfs export: from a run directory to a file with its net, and how far the two nets are apart."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lcfs import data
from lcfs.architectures import build_configured, count_weights
from lcfs.checkpoints import load_state
from lcfs.errors import InputError
from lcfs.exporting.files import save, save_onnx
from lcfs.exporting.net import ExportedNet, lower
from lcfs.runs import Run

SUFFIXES = (".safetensors", ".onnx")
_PROBES = 64


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        net: as it was written.
        weights, weight_bytes: of the full net.
        file_bytes: size of the file.
        difference: largest |Δ logit| on 64 random inputs, relative to the largest |logit|.
    """

    net: ExportedNet
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
            (dense).
        checkpoint: a state dict of that net to take instead of the run's newest checkpoint.

    Raises:
        InputError: no such run, a checkpoint of another net, resnet18, an unknown suffix, a package that ONNX lacks.
    """
    output = Path(output)
    if output.suffix not in SUFFIXES:
        raise InputError(f"{output} must end in one of {', '.join(SUFFIXES)}, which says what is written")
    opened = Run.open(Path(run))
    config = opened.config()
    image = data.image_shape(config.data)
    model = build_configured(config, image, data.classes(config.data)).eval()
    path = Path(checkpoint) if checkpoint is not None else opened.newest_checkpoint()
    try:
        model.load_state_dict(load_state(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no checkpoint of the net of {run} ({reason}); name another") from error
    mean, std = data.normalization(config.data)
    net = lower(
        model,
        image,
        mean=mean,
        std=std,
        data=config.data,
        permutation=data.pixel_permutation(config.seed, image) if config.permute_pixels else None,
        sparse=output.suffix == ".safetensors",
    )
    x = torch.randn(_PROBES, *image, generator=torch.Generator().manual_seed(0))
    expected = model(x)
    difference = (net(x) - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    (save if output.suffix == ".safetensors" else save_onnx)(net, output)
    weights = count_weights(model)
    return Exported(net, weights, 4 * weights, output.stat().st_size, difference.item())
