"""Exported nets as ONNX files, which take images as they are: normalization and pixel permutation are in the graph."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32, Int64, Shaped
from torch import Tensor, nn

from lcfs.errors import InputError
from lcfs.runs.atomic import write_bytes_atomically

_MOST_BYTES = (1 << 31) - (1 << 20)  # protobuf's limit for one file, less room for the graph
_OTHER = "choose a name that ends in .safetensors"


def save_onnx(
    net: nn.Module,
    path: Path,
    *,
    image: tuple[int, ...],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    permutation: Int64[Tensor, " pixels"] | None = None,
    dtype: torch.dtype = torch.uint8,
) -> None:
    """Write a net as ONNX through torch.onnx: `images` `[batch, *image]`, bytes or floats, to `logits`, for any batch.

    Every layer is dense, its zeros stored and multiplied. ONNX has no product with a sparse matrix: made of Gather, Mul
    and ReduceSum, 8,192 × 3,072 weights at 2 % density took 1.3 times as long as dense at batch 1 and 8 times at batch
    16 (onnxruntime 1.31, one CPU thread). As a sparse initializer the same weights take a seventeenth of the file and
    as long as dense, since onnxruntime fills in the zeros when it reads them; plain ones ask less of other runtimes.
    `lcfs.exporting.save` is for sparse nets.

    Args:
        net: from normalized images to logits, without `CsrLinear`, in evaluation mode.
        path: the file.
        image: (channels, *grid).
        mean, std: per channel, of bytes scaled to [0, 1], of floats as they are.
        permutation: of the pixels, for a net that was trained on permuted images.
        dtype: of the images as they are, torch.uint8 or torch.float32.

    Raises:
        InputError: torch.onnx lacks a package that lcfs does not bring or fails, weights of 2 GiB or more, the file
            cannot be written.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        needs, remedy = " and ".join(missing), f"pip install {' '.join(missing)}"
        raise InputError(f"torch.onnx needs {needs} to write {path.name}: {remedy}, or {_OTHER}")
    size = sum(t.numel() * t.element_size() for t in net.state_dict().values())
    if size > _MOST_BYTES:
        raise InputError(f"{path.name} would hold {size:,} bytes of weights, and ONNX files end at 2 GiB; {_OTHER}")
    prepared = _Prepared(net, mean, std, permutation, len(image) - 1).eval()
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    shapes = ({0: torch.export.Dim("batch")},)
    try:
        with _quiet():
            images = torch.zeros(2, *image, dtype=dtype)
            program = torch.onnx.export(prepared, (images,), dynamo=True, verbose=False, dynamic_shapes=shapes, **names)
    except (torch.onnx.OnnxExporterError, ImportError) as error:
        cause = error.__cause__ or error  # around it torch writes a page of advice
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0].rstrip(".")[:200]
        raise InputError(f"torch.onnx cannot write {path.name} ({reason}); update onnx and onnxscript") from error
    assert program is not None
    model = program.model_proto
    if not model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:  # torch falls back to that without a word
        raise InputError(f"torch.onnx can write {path.name} for one size of batch only; {_OTHER}")
    for node in model.graph.node:
        del node.metadata_props[:]  # torch's stack traces, with the paths of this machine
    write_bytes_atomically(model.SerializeToString(), path)


class _Prepared(nn.Module):
    """Images as they are, bytes or floats, to logits.

    It normalizes as `augment.normalize` does, whose cache would keep the fake tensors of tracing for later calls.
    """

    mean: Tensor
    std: Tensor
    permutation: Tensor | None

    def __init__(
        self, net: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], permutation: Tensor | None, axes: int
    ) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).view(-1, *[1] * axes))
        self.register_buffer("std", torch.tensor(std).view(-1, *[1] * axes))
        self.register_buffer("permutation", permutation)

    def forward(self, images: Shaped[Tensor, "batch channels *grid"]) -> Float32[Tensor, "batch classes"]:
        x = images.float() / 255 if images.dtype == torch.uint8 else images
        x = (x - self.mean) / self.std
        if self.permutation is not None:
            x = x.flatten(2)[:, :, self.permutation].view_as(x)
        return self.net(x)


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter warns about its own internals, and about torchvision, which nothing here needs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
