"""The matrix of a linear layer at a known image, and the convolution whose geometry it has."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from lcfs.embedding.operations import Forward, LinearMap, Shape, Transposed
from lcfs.embedding.sparse import SparseLinear
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from theory.operators import Convolution


def convolution_of(name: str, module: LinearMap, before: Shape, after: Shape) -> Convolution | None:
    """The geometry of a convolution or LocallyConnected, that of the adjoint for a transposed one; None for others.

    Args:
        name: of the module in its net, for errors.
        before, after: shapes of one example before and after the module.

    Raises:
        InputError: a transposed convolution padded at its output beyond the reach of its input.
    """
    if isinstance(module, LocallyConnected):
        return Convolution(before, module.out_channels, module.kernel_size, module.stride, module.padding)
    if isinstance(module, Forward):
        return Convolution(
            before,
            module.out_channels,
            module.kernel_size,
            module.stride,
            module.padding,
            module.dilation,
            module.groups,
            module.padding_mode,
        )
    if isinstance(module, Transposed):
        # The output's extra pixels take from the padding at the end; torch computes nothing beyond.
        sides = [
            (int(p), max(0, int(p) - extra)) for p, extra in zip(module.padding, module.output_padding, strict=True)
        ]
        convolution = Convolution(
            after, module.in_channels, module.kernel_size, module.stride, tuple(sides), module.dilation, module.groups
        )
        if convolution.out_image != before:
            raise InputError(
                f"{name} has an output_padding of {module.output_padding}, which adds pixels that its input does not "
                "reach; make it smaller than stride + padding"
            )
        return convolution
    return None


def matrix_of(module: LinearMap, convolution: Convolution | None) -> sparse.csr_array | np.ndarray:
    """W of a linear module, `[units after, units before]`, without its bias: dense for Linear, else CSR."""
    if isinstance(module, SparseLinear):
        rows, columns = module.indices.numpy(force=True)
        shape = (module.out_features, module.in_features)
        return sparse.csr_array(sparse.coo_array((to_numpy(module.values), (rows, columns)), shape=shape))
    weight = to_numpy(module.weight)
    if isinstance(module, nn.Linear) or convolution is None:
        return weight
    if isinstance(module, LocallyConnected):
        return convolution.from_local(weight)
    matrix = convolution.csr(weight)
    return sparse.csr_array(matrix.T) if isinstance(module, Transposed) else matrix


def own_numbers(module: LinearMap) -> Tensor:
    """The tensor of a layer's weights: its stored entries if it is sparse."""
    return module.values if isinstance(module, SparseLinear) else module.weight


def unit_bias(module: LinearMap, units: int) -> Tensor | None:
    """The bias of each unit after a linear module, `[units]`, from one for each channel or unit."""
    if module.bias is None:
        return None
    return module.bias.detach().flatten().repeat_interleave(units // module.bias.numel())


def to_numpy(tensor: Tensor) -> np.ndarray:
    """As numpy, in float32 for the short types that scipy does not know."""
    short = tensor.dtype in (torch.bfloat16, torch.float16)
    return (tensor.float() if short else tensor).numpy(force=True)
