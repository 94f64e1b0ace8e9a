"""Exported nets as files: safetensors with a description in its header, read with every field checked."""

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from lcfs.errors import InputError
from lcfs.exporting.csr import CsrLinear
from lcfs.exporting.net import ExportedNet, Kind, LayerSpec, NetSpec
from lcfs.runs.atomic import write_bytes_atomically

FORMAT = "lcfs exported net 1"
_KEY = "lcfs"
_LARGEST = 1 << 31  # of any size in a description
_NAME = re.compile(r"(conv|fc)\d{1,4}")
_INTEGERS = [field.name for field in dataclasses.fields(LayerSpec) if field.type is int]


def save(net: ExportedNet, path: Path) -> None:
    """Write a net as safetensors, atomically; the same net gives the same bytes.

    Raises:
        InputError: it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    description = json.dumps({"format": FORMAT, "net": dataclasses.asdict(net.spec)})
    # One key: safetensors writes several in an order that changes from call to call.
    write_bytes_atomically(to_bytes(tensors, metadata={_KEY: description}), path)


def load(path: str | Path) -> ExportedNet:
    """A net that `lcfs export` wrote, whoever did; nothing in the file is executed, and all of it is checked.

    Raises:
        InputError: no such file, another kind of file, or one whose description, shapes or indices do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not there; lcfs export RUN -o FILE writes it")
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged or no safetensors file; write it again with lcfs export") from error
    if _KEY not in metadata:
        raise InputError(f"{path} holds tensors, but no net that lcfs export wrote; export the run it comes from")
    try:
        description = json.loads(metadata[_KEY])
        _require(description["format"] == FORMAT, f"its format is not {FORMAT!r}")
        spec = _parse(description["net"])
        net = ExportedNet(spec, [layer.build() for layer in spec.layers])
        expected = net.state_dict()
        for name in expected.keys() | tensors.keys():
            kinds = [
                (tuple(t.shape), t.dtype) if t is not None else None for t in (expected.get(name), tensors.get(name))
            ]
            _require(kinds[0] == kinds[1], f"{name} is {kinds[1]} instead of {kinds[0]}")
        net.load_state_dict(tensors, assign=True)
        for module in net.modules():
            if isinstance(module, CsrLinear):
                module.check()
        if net.permutation is not None:
            pixels = torch.arange(len(net.permutation))
            _require(torch.equal(net.permutation.sort().values, pixels), "permutation is none")
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError, RecursionError) as error:
        reason = (str(error).strip().splitlines() or ["no description"])[0].rstrip(".")[:200]
        raise InputError(f"{path} is no valid exported net ({reason}); write it again with lcfs export") from error
    return net


def _parse(found: Any) -> NetSpec:
    """A NetSpec from JSON; raises ValueError, TypeError or KeyError at the first thing that is not as it should be."""
    layers = tuple(LayerSpec(**layer) for layer in found["layers"])
    image = tuple(found["image"])
    _require(len(image) in (2, 3) and all(map(_is_size, image)), f"the image is {image}")
    mean, std = tuple(found["mean"]), tuple(found["std"])
    for values in (mean, std):
        fits = len(values) in (0, image[0]) and all(isinstance(v, int | float) for v in values)
        _require(fits, "mean and std must have a number per channel")
    _require(
        isinstance(found["data"], str) and isinstance(found["permuted"], bool), "data or permuted is of no known kind"
    )
    _require(len({layer.name for layer in layers}) == len(layers) > 0, "it has no layers, or two of one name")
    units = math.prod(image)
    for layer in layers:
        _check(layer)
        before, after = layer.units()
        _require(before == units, f"{layer.name} takes {before} units after {units}")
        units = after
    return NetSpec(image, mean, std, found["data"], found["permuted"], layers)


def _check(layer: LayerSpec) -> None:
    _require(
        isinstance(layer.name, str) and _NAME.fullmatch(layer.name) is not None,
        "a layer is called neither conv1 nor fc1",
    )
    _require(layer.kind in get_args(Kind), f"{layer.name} is of no known kind")
    sizes = {key: getattr(layer, key) for key in _INTEGERS}
    spatial = layer.kind in ("conv", "local")
    least = {"inputs": 1, "outputs": 1, "width": spatial, "kernel": spatial, "stride": spatial}
    for key, value in sizes.items():
        _require(_is_size(value, least.get(key, 0)), f"{key} of {layer.name} is {value}")
    _require(spatial or not any(sizes[key] for key in ("height", "width", "kernel", "stride", "padding")), layer.name)
    _require(not spatial or layer.padding < layer.kernel <= min(layer.grid) + 2 * layer.padding, layer.name)


def _is_size(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < _LARGEST


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)
