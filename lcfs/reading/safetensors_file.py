"""The safetensors format: a header in JSON, then the numbers. Source: huggingface/safetensors, format description."""

import json
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lcfs.reading.opening import Opened
from lcfs.reading.storages import Storage, from_bytes, sizes, strided
from lcfs.reading.values import MalformedError, Unread

_LARGEST_HEADER = 100_000_000  # the format's own limit
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "BOOL": torch.bool,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}
if hasattr(torch, "float8_e8m0fnu"):
    _DTYPES["F8_E8M0"] = torch.float8_e8m0fnu


@dataclass(frozen=True)
class SafeTensors:
    """What the file holds: its tensors by name, and the text that its writer put beside them."""

    tensors: dict[str, Tensor | Unread]
    metadata: dict[str, str]


def looks_like_safetensors(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `head` can be one: a length, then JSON."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= max(size, _LARGEST_HEADER)


def read_safetensors(opened: Opened) -> SafeTensors:
    """All tensors as views of the mapped file. Raises MalformedError if header and size do not fit each other."""
    content = opened.content
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, _LARGEST_HEADER):
        raise MalformedError(f"its header of {length:,} bytes is longer than the file")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):
        raise MalformedError("its header is no JSON") from None
    if not isinstance(header, dict):
        raise MalformedError("its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    tensors: dict[str, Tensor | Unread] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        begin, end, tensors[name] = _tensor(content, 8 + length, entry)
        spans.append((begin, end))
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise MalformedError("its tensors overlap or leave gaps")
        at = end
    if 8 + length + at != len(content):
        raise MalformedError(f"its tensors end at byte {8 + length + at:,} of {len(content):,}")
    texts = metadata.items() if isinstance(metadata, dict) else ()
    return SafeTensors(tensors, {str(key): value for key, value in texts if isinstance(value, str)})


def _tensor(content: object, start: int, entry: object) -> tuple[int, int, Tensor | Unread]:
    """(begin, end, tensor) of one entry of the header."""
    if not isinstance(entry, dict):
        raise MalformedError("an entry of its header is no JSON object")
    kind, shape, place = entry.get("dtype"), sizes(entry.get("shape")), sizes(entry.get("data_offsets"))
    if len(place) != 2 or place[0] > place[1]:
        raise MalformedError("an entry of its header has no place in the file")
    begin, end = place
    flat = from_bytes(content, start + begin, end - begin)
    if kind == "F4":
        if shape[-1:] and shape[-1] % 2 == 0 and math.prod(shape) == 2 * (end - begin):
            packed = Storage(flat, torch.uint8).typed(torch.float4_e2m1fn_x2)
            return begin, end, _whole(packed, (*shape[:-1], shape[-1] // 2))
        raise MalformedError("a tensor of type F4 does not fit its bytes")
    if kind not in _DTYPES:
        return begin, end, Unread(f"a tensor of type {str(kind)[:20]}, which is not read")
    dtype = _DTYPES[kind]
    if math.prod(shape) * dtype.itemsize != end - begin:
        raise MalformedError(f"a tensor of shape {shape} and type {kind} has {end - begin:,} bytes")
    return begin, end, _whole(Storage(flat, dtype).typed(dtype), shape)


def _whole(flat: Tensor, shape: tuple[int, ...]) -> Tensor:
    steps = [math.prod(n or 1 for n in shape[axis + 1 :]) for axis in range(len(shape))]
    return strided(flat, 0, list(shape), steps)
