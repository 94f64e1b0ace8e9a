"""The allow-list: what pickles of tensors name, and what is made of it. Whatever is not here becomes a stub."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lcfs.reading.arrays import ARRAYS
from lcfs.reading.sparse import sparse_tensor
from lcfs.reading.storages import DTYPES, INTEGERS_OF, STORAGES, Storage, sizes, strided
from lcfs.reading.values import Global, MalformedError, Stub, Unread, keyed

_PLAIN_TENSORS = ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
    """(requires_grad, hooks, metadata) follow; metadata are the bits of conjugation and negation."""
    if not isinstance(storage, Storage):
        return _without_storage(storage)
    if storage.dtype in INTEGERS_OF:
        raise MalformedError("a quantized tensor has no scale")
    return _with_bits(strided(storage.typed(storage.dtype), offset, size, stride), rest[2] if len(rest) > 2 else None)


def _typed(storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *rest: Any) -> Any:
    """The same where the storage is of no type; metadata may follow."""
    if not isinstance(storage, Storage):
        return _without_storage(storage)
    name = dtype.name.removeprefix("torch.") if isinstance(dtype, Global) else ""
    if name not in DTYPES:
        return Unread(f"a tensor of type {name[:40]}, which is not read")
    flat = storage.typed(DTYPES[name])
    return _with_bits(strided(flat, offset, size, stride), rest[0] if rest else None)


def _without_storage(storage: Any) -> Unread:
    if isinstance(storage, Unread):
        return storage
    raise MalformedError("a tensor has no storage")


def _with_bits(tensor: Tensor, metadata: Any) -> Tensor:
    if isinstance(metadata, dict):
        if metadata.get("conj") is True and tensor.is_complex():
            tensor = tensor.conj()
        if metadata.get("neg") is True:
            tensor = torch._neg_view(tensor)
    return tensor.resolve_conj().resolve_neg()


def _quantized(storage: Any, offset: Any, size: Any, stride: Any, parameters: Any, *_: Any) -> Any:
    """A quantized tensor as what it is: integers, and a scale and a zero point of all or of each slice."""
    if not isinstance(storage, Storage) or storage.dtype not in INTEGERS_OF or not isinstance(parameters, tuple):
        return Unread("a quantized tensor of a kind that is not read")
    levels = strided(storage.typed(INTEGERS_OF[storage.dtype]), offset, size, stride)
    scheme = parameters[0].name if parameters and isinstance(parameters[0], Global) else ""
    per_channel = scheme == "torch.per_channel_affine"
    if len(parameters) != 3 + per_channel or scheme not in ("torch.per_tensor_affine", "torch.per_channel_affine"):
        return Unread(f"a quantized tensor of scheme {scheme[:40]}, which is not read")
    return {"int_repr": levels, "scale": parameters[1], "zero_point": parameters[2]}


def _meta(_dtype: Any, size: Any, *_: Any) -> Any:
    return Unread(f"a placeholder of shape {sizes(size)} on the meta device, without numbers")


def _from_type(function: Any, kind: Any, arguments: Any, state: Any = None) -> Any:
    """A tensor of a subclass: the tensor if the class is torch's own, else a stub with all that it holds."""
    if not (isinstance(function, Global) and isinstance(arguments, tuple)):
        raise MalformedError("a tensor of a subclass is made of no arguments")
    name = kind.name if isinstance(kind, Global) else ""
    build = BUILDERS.get(function.name)
    inner = build(*arguments) if build and function.name != "torch._utils._rebuild_wrapper_subclass" else arguments
    return inner if name in _PLAIN_TENSORS else Stub(name or function.name, (inner,), state)


def _encode(text: Any, encoding: Any = "latin1", *_: Any) -> Any:
    if isinstance(text, str) and encoding in ("latin1", "latin-1"):
        return text.encode("latin-1")
    return Stub("_codecs.encode", (text, encoding))


def _dictionary(*arguments: Any) -> Any:
    """An OrderedDict or defaultdict: a dict, from nothing, a dict or pairs."""
    content = arguments[-1] if arguments else {}
    if isinstance(content, dict):
        return dict(content)
    if isinstance(content, list) and all(isinstance(p, list | tuple) and len(p) == 2 for p in content):
        return keyed([part for pair in content for part in pair])
    return {}


def _sequence(values: Any = (), *_: Any) -> Any:
    return list(values) if isinstance(values, list | tuple) else [values]


def _size(values: Any = (), *_: Any) -> tuple[int, ...]:
    return sizes(values)


def _same(value: Any = None, *_: Any) -> Any:
    """The value itself: parameters, buffers, and TorchScript's annotations of a value."""
    return value


def _object(kind: Any, *arguments: Any) -> Stub:
    return Stub(kind.name if isinstance(kind, Global) else "object", arguments)


def _layout(name: Any) -> Global:
    return Global(name if isinstance(name, str) else "")


def _nested(*_: Any) -> Unread:
    return Unread("a nested tensor, which is not read")


BUILDERS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed,
    "torch._utils._rebuild_parameter": _same,
    "torch._utils._rebuild_parameter_with_state": _same,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_sparse_tensor": sparse_tensor,
    "torch._utils._rebuild_nested_tensor": _nested,
    **ARRAYS,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._tensor._rebuild_from_type": _from_type,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.serialization._get_layout": _layout,
    "torch.nn.parameter.Parameter": _same,
    "torch.Size": _size,
    "torch.device": lambda *parts: ":".join(str(part)[:20] for part in parts if isinstance(part, str | int)),
    "torch.jit._pickle.restore_type_tag": _same,
    "torch.jit._pickle.build_tensorlist": _sequence,
    "torch.jit._pickle.build_intlist": _sequence,
    "torch.jit._pickle.build_doublelist": _sequence,
    "torch.jit._pickle.build_boollist": _sequence,
    "collections.OrderedDict": _dictionary,
    "collections.defaultdict": _dictionary,
    "_codecs.encode": _encode,
    **{f"{module}.{name}": _sequence for module in ("builtins", "__builtin__") for name in ("set", "frozenset")},
    **{f"{module}._reconstructor": _object for module in ("copyreg", "copy_reg")},
}
_NAMES = {"numpy.ndarray", "torch.per_tensor_affine", "torch.per_channel_affine", *STORAGES, *_PLAIN_TENSORS}
_NAMES |= {f"torch.{name}" for name in DTYPES}


def is_known(name: str) -> bool:
    """Whether a name is on the list: something is made of it, or it says of what kind something is."""
    return name in BUILDERS or name in _NAMES
