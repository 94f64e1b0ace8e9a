"""One layer of a net as the layer of LOCAL or FC that computes the same function."""

import copy
import math
from typing import Literal, TypeAlias

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from lcfs.embedding.geometry import convolution_of, matrix_of, own_numbers, unit_bias
from lcfs.embedding.operations import LinearMap, Norm, Shape
from lcfs.embedding.sparse import SparseLinear
from lcfs.nets.layers import LocallyConnected
from theory.operators import Convolution

Into: TypeAlias = Literal["local", "fc"]


def embed_linear(name: str, module: LinearMap, before: Shape, after: Shape, into: Into, stored: bool) -> nn.Module:
    """A layer of LOCAL or FC with parameters of its own, which learn if those of the module do.

    Args:
        name: of the module in its net, for errors.
        before, after: shapes of one example.
        stored: whether a matrix of FC is stored sparse.

    Returns:
        In FC Linear or SparseLinear. In LOCAL LocallyConnected where it has the geometry, else SparseLinear with the
        entries that the convolution reaches. Linear stays Linear.
    """
    layer = _embedded(name, module, before, after, into, stored)
    own_numbers(layer).requires_grad_(own_numbers(module).requires_grad)
    if layer.bias is not None and module.bias is not None:
        layer.bias.requires_grad_(module.bias.requires_grad)
    return layer


def _embedded(name: str, module: LinearMap, before: Shape, after: Shape, into: Into, stored: bool) -> LinearMap:
    if isinstance(module, nn.Linear):
        return _linear(module.weight.detach().clone(), _copy(module.bias))
    convolution = convolution_of(name, module, before, after)
    if into == "local" and convolution is not None and is_locally_connected(module, convolution):
        return _locally_connected(module, convolution)
    bias = unit_bias(module, math.prod(after))
    return from_matrix(matrix_of(module, convolution), own_numbers(module), bias, stored=stored or into == "local")


def embed_norm(module: Norm, before: Shape) -> nn.BatchNorm1d:
    """BatchNorm in evaluation mode, the numbers of each channel given to each of its units."""
    units = math.prod(before)
    norm = nn.BatchNorm1d(units, module.eps, module.momentum, affine=False, device="meta")
    norm.affine = module.affine
    for name, tensor in module.named_parameters():
        setattr(norm, name, nn.Parameter(_each(tensor, units), tensor.requires_grad))
    for name, tensor in module.named_buffers():
        setattr(norm, name, _each(tensor, units))
    return norm


def embed_prelu(module: nn.PReLU, before: Shape) -> nn.PReLU:
    """PReLU with the slope of each channel given to each of its units; one slope for all stays one."""
    copied = copy.deepcopy(module)
    if module.num_parameters > 1:
        copied.num_parameters = math.prod(before)
        copied.weight = nn.Parameter(_each(module.weight, copied.num_parameters), module.weight.requires_grad)
    return copied


def from_matrix(
    matrix: sparse.csr_array | np.ndarray, like: Tensor, bias: Tensor | None = None, *, stored: bool
) -> nn.Linear | SparseLinear:
    """A matrix as a layer of the type and on the device of the tensor `like`, stored sparse or dense."""
    if not stored:
        dense = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
        return _linear(torch.from_numpy(dense).to(like), _copy(bias))
    entries = sparse.coo_array(matrix)
    rows, columns = entries.coords
    indices = torch.empty((2, len(rows)), dtype=torch.int64, device=like.device)
    indices[0], indices[1] = torch.from_numpy(rows), torch.from_numpy(columns)
    values: Tensor = torch.from_numpy(entries.data).to(like)
    height, width = map(int, entries.shape or ())
    return SparseLinear(values, indices, (height, width), _copy(bias))


def is_locally_connected(module: LinearMap, convolution: Convolution) -> bool:
    """Whether LocallyConnected has this geometry: one axis or two alike, padded alike with zeros, of one group."""
    if not isinstance(module, nn.Conv1d | nn.Conv2d | LocallyConnected):
        return False
    alike = len({(a.kernel, a.stride, a.before, a.after) for a in convolution.axes}) == 1
    even = all(axis.before == axis.after and axis.dilation == 1 for axis in convolution.axes)
    zeros = convolution.padding_mode == "zeros" or all(axis.padded == axis.size for axis in convolution.axes)
    return alike and even and zeros and convolution.groups == 1


def _locally_connected(module: LinearMap, convolution: Convolution) -> LocallyConnected:
    """The same filter at every position, also its taps that fall on the padding there."""
    axis = convolution.axes[0]
    bias = unit_bias(module, math.prod(convolution.out_image))
    with torch.device("meta"):  # no random numbers are drawn
        layer = LocallyConnected(
            convolution.in_channels,
            convolution.out_channels,
            convolution.spatial,
            axis.kernel,
            stride=axis.stride,
            padding=axis.before,
            bias=bias is not None,
        )
    layer.weight = nn.Parameter(module.weight.detach().expand(convolution.local_shape).clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.reshape(convolution.out_image))
    return layer


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A Linear of these tensors."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight)
    if bias is not None:
        layer.bias = nn.Parameter(bias)
    return layer


def _each(tensor: Tensor, units: int) -> Tensor:
    """A number for each channel → one for each unit; a counter stays as it is."""
    copy = tensor.detach().clone()
    return copy.repeat_interleave(units // len(copy)) if copy.ndim else copy


def _copy(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach().clone()
