"""Average pooling and means as matrices: they are products over the axes of an image."""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, fx, nn
from torch.nn import functional as F

from lcfs.embedding.operations import AdaptivePool, AveragePool, Shape, called
from lcfs.errors import InputError


def average_matrix(node: fx.Node, modules: dict[str, nn.Module]) -> sparse.csr_array:
    """The matrix of a call that averages, `[numbers after, numbers before]` in float64; it has no weights.

    Args:
        node: a module, function or method of kind "average" in a traced net.

    Raises:
        InputError: a mean over the examples of a batch, or over an empty list of axes.
    """
    before, after = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
    name = called(node, modules)
    if name in ("mean", "sum"):
        return _product(_means(node, before, sums=name == "sum"))
    if "sampl" in name.lower() or name == "interpolate":
        return _product([np.eye(before[0]), *_interpolated(node, modules, before[1:])])
    module: Any = modules[str(node.target)] if node.op == "call_module" else as_module(name, node)
    channels = np.eye(before[0])
    if isinstance(module, AdaptivePool):
        sides = zip(before[1:], after[1:], strict=True)
        return _product([channels, *(_axis(n, lambda x, m=m: F.adaptive_avg_pool1d(x, m)) for n, m in sides)])
    axes = _pooled_axes(module, before[1:])
    divisor = getattr(module, "divisor_override", None)
    if divisor:  # a sum with a factor of its own
        return _product([channels, *((axis != 0).astype(float) for axis in axes)]) / divisor
    return _product([channels, *axes])


def _pooled_axes(module: AveragePool, spatial: Shape) -> list[np.ndarray]:
    """`[out, in]` of each axis. torch divides by the number of pixels in a window, itself a product over the axes."""

    def pool(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
        return F.avg_pool1d(x, kernel, stride, padding, module.ceil_mode, module.count_include_pad)

    kernels, strides, paddings = (
        per_axis(value, len(spatial)) for value in (module.kernel_size, module.stride, module.padding)
    )
    each = zip(spatial, kernels, strides, paddings, strict=True)
    return [_axis(size, lambda x, window=window: pool(x, *window)) for size, *window in each]


def _axis(size: int, pool: Callable[[Tensor], Tensor]) -> np.ndarray:
    """`[out, in]` matrix of a pooling of one axis: its columns are what becomes of the unit vectors."""
    return pool(torch.eye(size, dtype=torch.float64)[None])[0].T.numpy()


def _interpolated(node: fx.Node, modules: dict[str, nn.Module], spatial: Shape) -> Iterator[np.ndarray]:
    """`[out, in]` of each axis of a linear interpolation."""
    names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")
    if node.op == "call_module":
        module = modules[str(node.target)]
        given: dict[str, Any] = {name: getattr(module, name, None) for name in names}
    else:
        given = dict(zip(names, node.args[1:], strict=False)) | node.kwargs
    for axis, size in enumerate(spatial):
        of_axis: dict[str, Any] = {
            name: value[axis] if isinstance(value := given.get(name), tuple | list) else value
            for name in ("size", "scale_factor")
        }
        options: dict[str, Any] = {name: given.get(name) for name in ("align_corners", "recompute_scale_factor")}
        yield _axis(size, lambda x, one=of_axis, all_=options: F.interpolate(x, **one, **all_, mode="linear"))


def _means(node: fx.Node, before: Shape, *, sums: bool) -> list[np.ndarray]:
    """For each axis a row of 1/n if x.mean(dim) averages it, of 1 if x.sum(dim) sums it, else the identity."""
    given: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    dims = {given} if isinstance(given, int) else set(given or ())
    averaged = {dim % (1 + len(before)) for dim in dims}
    if not averaged or 0 in averaged:
        raise InputError(f"{node.name} averages over the examples of a batch; name the axes of the image: mean((2, 3))")
    return [
        np.full((1, n), 1.0 if sums else 1 / n) if i in averaged else np.eye(n) for i, n in enumerate(before, start=1)
    ]


def as_module(name: str, node: fx.Node) -> nn.Module:
    """The module that pools as a function of the same arguments does."""
    words = {"adaptive": "Adaptive", "avg": "Avg", "max": "Max"}
    class_name = "".join(words.get(word, word.replace("pool", "Pool")) for word in name.split("_"))
    return getattr(nn, class_name)(*node.args[1:], **{key: v for key, v in node.kwargs.items() if key != "input"})


def per_axis(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """One number for each axis: a single one, alone or in a tuple, stands for all of them."""
    each = (value,) if isinstance(value, int) else tuple(value)
    return each * axes if len(each) == 1 else each


def _product(axes: list[np.ndarray]) -> sparse.csr_array:
    """The Kronecker product of the matrices of the axes."""
    return reduce(lambda a, b: sparse.csr_array(sparse.kron(a, b, format="csr")), map(sparse.csr_array, axes))
