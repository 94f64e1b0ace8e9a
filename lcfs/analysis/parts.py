"""What of a state dict a description spells out: every number once, constants of the architecture not at all."""

import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from lcfs.analysis.patterns import Format, collapsed, format_of

Role = Literal["weight", "vector", "buffer", "integer", "constant", "tied"]
_BUFFERS = ("running_mean", "running_var")
_LEAST_TIED = 64  # entries; fewer may be equal by chance
_SAMPLE = 4096


@dataclass(frozen=True)
class Part:
    """One tensor of a state dict, or several that are one.

    Attributes:
        name: of the tensor.
        tensor: dense, or sparse in any of torch's layouts.
        form: how its numbers are written.
        role: a constant of the architecture and a tensor tied to another are not spelled out.
        mask: of the same shape; the numbers are zero where it is.
        note: why the role is what it is, or what was put together; empty where there is nothing to say.
    """

    name: str
    tensor: Tensor
    form: Format
    role: Role
    mask: Tensor | None = None
    note: str = ""

    @property
    def free(self) -> bool:
        """Whether a description need not spell it out."""
        return self.role in ("constant", "tied")


def parts(state: Mapping[str, Tensor]) -> list[Part]:
    """The parts of a state dict in order.

    Free are counts of batches, position ids that count up, views of another tensor's storage, and arrays of the same
    bytes as an earlier one, which is a tie of the architecture that the file format lost. A weight and its mask, as
    torch.nn.utils.prune leaves them or with a bool mask, are one sparse array. Packed integers of 4 bits (GPTQ, AWQ,
    bitsandbytes) are taken apart.
    """
    found = [_part(name, tensor, state) for name, tensor in state.items()]
    found = _masked(found)
    found = _without_views(found)
    return _without_copies(found)


def _part(name: str, tensor: Tensor, state: Mapping[str, Tensor]) -> Part:
    form = format_of(tensor.dtype, nibbles=_is_packed(name, tensor, state))
    if _is_integer(tensor):
        reason = _constant(name, tensor)
        return Part(name, tensor, form, "constant" if reason else "integer", note=reason)
    if name.rsplit(".", 1)[-1] in _BUFFERS:
        return Part(name, tensor, form, "buffer")
    return Part(name, tensor, form, "weight" if tensor.ndim >= 2 else "vector")


def _is_integer(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == _FLOAT4)


_FLOAT4 = getattr(torch, "float4_e2m1fn_x2", None)


def _constant(name: str, tensor: Tensor) -> str:
    """Why an integer tensor is a constant of the architecture, or nothing."""
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked" and tensor.numel() == 1:
        return "a count that no prediction needs"
    if last == "position_ids" and tensor.layout == torch.strided and tensor.dtype in (torch.int64, torch.int32):
        flat = collapsed(tensor).reshape(-1)
        if torch.equal(flat, torch.arange(flat.numel(), dtype=flat.dtype)):
            return "positions that count up"
    return ""


def _is_packed(name: str, tensor: Tensor, state: Mapping[str, Tensor]) -> bool:
    """Whether integers hold several of 4 bits each: layouts of GPTQ and AWQ, and of bitsandbytes."""
    stem, _, last = name.rpartition(".")
    if tensor.dtype == torch.int32 and last in ("qweight", "qzeros"):
        return f"{stem}.scales" in state
    return tensor.dtype == torch.uint8 and (f"{name}.absmax" in state or f"{name}.quant_map" in state)


def _masked(found: list[Part]) -> list[Part]:
    """Weights with their masks."""
    by_name = {part.name: part for part in found}
    masks: dict[str, tuple[str, str]] = {}
    for part in found:
        stem, _, last = part.name.rpartition(".")
        if last.endswith("_mask") and f"{part.name.removesuffix('_mask')}_orig" in by_name:
            masks[f"{part.name.removesuffix('_mask')}_orig"] = (part.name, part.name.removesuffix("_mask"))
        elif last in ("weight_mask", "mask") and part.tensor.dtype == torch.bool:
            weight = f"{stem}.weight" if stem else "weight"
            if weight in by_name:
                masks[weight] = (part.name, weight)
    kept: dict[str, Part] = dict(by_name)
    for weight, (mask, name) in masks.items():
        one, other = by_name[weight], by_name[mask]
        if _fits(one.tensor, other.tensor):
            note = f"{weight} × {mask}" if weight != name else f"zero where {mask} is"
            kept[weight] = replace(one, name=name, mask=other.tensor, note=note)
            del kept[mask]
    return list(kept.values())


def _fits(weight: Tensor, mask: Tensor) -> bool:
    """Whether it is a mask: of the same shape, of zeros and ones."""
    strided = weight.layout == mask.layout == torch.strided
    return strided and weight.shape == mask.shape and bool(((mask == 0) | (mask == 1)).all())


def _without_views(found: list[Part]) -> list[Part]:
    """Tensors whose numbers are all among those of another one, in memory, as tied to it."""
    spans = [
        (start, -size, index)
        for index, part in enumerate(found)
        if (span := _span(part)) is not None
        for start, size in [span]
    ]
    tied = list(found)
    reach, owner = 0, -1
    for start, negative_size, index in sorted(spans):
        end = start - negative_size
        if owner >= 0 and end <= reach and found[owner].mask is None:
            tied[index] = replace(found[index], role="tied", note=f"the memory of {found[owner].name}")
        elif end > reach:
            reach, owner = end, index
    return tied


def _span(part: Part) -> tuple[int, int] | None:
    """(address, bytes) of a tensor's numbers, if they fill the memory between the first and the last."""
    tensor = part.tensor
    if tensor.layout != torch.strided or part.role == "constant" or part.mask is not None or not tensor.numel():
        return None
    dense = collapsed(tensor)
    dense = dense.permute(sorted(range(dense.ndim), key=dense.stride, reverse=True))
    return (tensor.data_ptr(), dense.numel() * tensor.element_size()) if dense.is_contiguous() else None


def _without_copies(found: list[Part]) -> list[Part]:
    """Weights of the same bytes as an earlier one as tied to it."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, part in enumerate(found):
        if part.tensor.layout == torch.strided and part.tensor.ndim >= 2 and part.mask is None and not part.free:
            groups[part.tensor.dtype, part.tensor.shape].append(index)
    tied = list(found)
    for indices in groups.values():
        seen: dict[int, list[int]] = defaultdict(list)
        for index in indices if len(indices) > 1 else ():
            earlier = seen[_fingerprint(found[index].tensor)]
            twin = next((i for i in earlier if _same(found[i].tensor, found[index].tensor)), None)
            if twin is None:
                earlier.append(index)
            else:
                tied[index] = replace(found[index], role="tied", note=f"the same numbers as {found[twin].name}")
    return tied


def _fingerprint(tensor: Tensor) -> int:
    flat = tensor.detach().reshape(-1) if tensor.is_contiguous() else tensor.detach()[:1].reshape(-1)
    return zlib.crc32(flat[:_SAMPLE].cpu().contiguous().view(torch.uint8).numpy().tobytes())


def _same(one: Tensor, other: Tensor) -> bool:
    if one.numel() < _LEAST_TIED or one.dtype.itemsize == 1 or not torch.equal(one, other):
        return False
    return bool((one != one.reshape(-1)[0]).count_nonzero() >= _LEAST_TIED // 2)
