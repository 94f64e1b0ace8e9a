"""The assertion that one class of linear maps is a part of another."""

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lcfs.embedding.geometry import convolution_of
from lcfs.embedding.operations import Forward, LinearMap, Shape, Transposed
from lcfs.embedding.sparse import SparseLinear
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from lcfs.testing.filling import fill, image_batch
from theory.operators import project_conv

_SOLVED = 1e-9  # relative: where taps collide, a pseudo-inverse of condition below 10⁶ is solved in float64


def assert_nested(inner: nn.Module, outer: nn.Module, image: Sequence[int], *, draws: int = 3, seed: int = 0) -> None:
    """Assert that each function of `inner` is one of `outer`, which projecting random members on `outer` decides.

    The members have integer weights and go through float64, so that a class that is no part of the other one is
    found out by the energy that the projection loses, far above rounding.

    Args:
        inner: a net that is affine in its input, as a layer or a stack of convolutions with strides.
        outer: a convolution, transposed convolution, LocallyConnected or Linear.
        image: shape of one image, (channels, *spatial), that both take.
        draws: how many members are drawn.

    Raises:
        AssertionError: a member of `inner` that `outer` lacks, in its shape, weights or bias.
        InputError: another `outer`; an `inner` that is not affine.
    Source: theory.operators.project_conv.
    """
    if not isinstance(outer, LinearMap) or isinstance(outer, SparseLinear):
        raise InputError(f"outer must be one convolution, LocallyConnected or Linear, got {type(outer).__name__}")
    for draw in range(draws):
        member = fill(copy.deepcopy(inner).double(), seed + draw, exact=True)
        matrix, constant, after = _affine(member, tuple(image), seed + draw)
        _assert_shape(outer, tuple(image), after)
        lost, energy = _lost(outer, matrix, tuple(image), after), float((matrix**2).sum())
        if lost > _SOLVED**2 * energy:
            raise AssertionError(
                f"{inner} is not nested in {outer}: of the energy {energy:.6g} of a member, {lost:.3g} is outside"
            )
        channels = constant.reshape(after[0], -1) if isinstance(outer, Forward | Transposed) else constant[:, None]
        if np.ptp(channels, axis=1).any() or (outer.bias is None and constant.any()):
            raise AssertionError(f"{inner} is not nested in {outer}: it adds a bias that the other has no place for")


def _affine(member: nn.Module, image: Shape, seed: int) -> tuple[np.ndarray, np.ndarray, Shape]:
    """(W, b, shape of one output) of x ↦ W x + b, from the unit vectors."""
    units, black = torch.eye(math.prod(image), dtype=torch.float64), torch.zeros(1, *image, dtype=torch.float64)
    x = image_batch(2, image, seed, exact=True)
    with torch.no_grad():
        constant = member(black)
        matrix = (member(units.view(-1, *image)) - constant).flatten(1).T
        expected = (member(x) - constant).flatten(1).T
    if not torch.allclose(matrix @ x.flatten(1).T, expected, rtol=_SOLVED, atol=_SOLVED):
        raise InputError("inner must be affine in its input, without activations; compare the layers one by one")
    return matrix.numpy(), constant[0].flatten().numpy(), tuple(constant.shape[1:])


def _assert_shape(outer: LinearMap, image: Shape, after: Shape) -> None:
    """That outer maps such images to outputs of this shape, a Linear to as many numbers."""
    flat = isinstance(outer, nn.Linear)
    x: Tensor = torch.zeros(1, *((math.prod(image),) if flat else image)).to(outer.weight)
    with torch.no_grad():
        found = tuple(outer(x).shape[1:])
    if found != ((math.prod(after),) if flat else after):
        raise AssertionError(f"inner maps {image} to {after}, outer to {found}")


def _lost(outer: LinearMap, matrix: np.ndarray, image: Shape, after: Shape) -> float:
    """Energy of a matrix outside the class of a layer."""
    convolution = convolution_of("outer", outer, image, after)
    if convolution is None:
        return 0.0
    found = project_conv(convolution, matrix.T if isinstance(outer, Transposed) else matrix)
    return found.off_local if isinstance(outer, LocallyConnected) else found.off_local + found.local_unshared
