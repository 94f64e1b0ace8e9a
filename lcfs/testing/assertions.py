"""Assertions: that one net is another one embedded, and that one class of linear maps is a part of another."""

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lcfs.embedding import embed
from lcfs.embedding.geometry import convolution_of
from lcfs.embedding.layers import Into
from lcfs.embedding.operations import Forward, LinearMap, Shape, Transposed
from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.tracing import example_parameter
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected2d
from lcfs.testing.filling import fill, image_batch
from lcfs.testing.rounding import forward_error_bound
from theory.operators import project_conv

_SOLVED = 1e-9  # relative: where taps collide, a pseudo-inverse of condition below 10⁶ is solved in float64


def assert_embeds(
    model: nn.Module,
    into: Into | nn.Module,
    image: Sequence[int],
    *,
    exact: bool = False,
    batch: int = 3,
    seed: int = 0,
) -> None:
    """That an embedding computes what the net computes, on random images of the net's type.

    Args:
        model: a net that `lcfs.embed` takes, in evaluation mode.
        into: the net that claims to be its embedding; or "local" or "fc", to check that of `lcfs.embed`.
        image: shape of one image, (channels, *spatial).
        exact: give images of small integers and ask for equality, bit by bit; for nets of such numbers, as those of
            `conv_nets(exact=True)`. Else the two may differ by `forward_error_bound`, which holds for every order of
            summation, and no tolerance is chosen.

    Raises:
        AssertionError: the outputs differ, in shape or by more than that; it says where and by how much.
        InputError: as `lcfs.embed`.
    """
    embedded = embed(model, into, image) if isinstance(into, str) else into
    x = image_batch(batch, tuple(image), example_parameter(model), seed, exact=exact)
    with torch.no_grad():
        expected, found = model(x.clone()), embedded(x.clone())  # an activation may work in place
    if expected.shape != found.shape:
        raise AssertionError(f"the net gives {tuple(expected.shape)}, its embedding {tuple(found.shape)}")
    bound = torch.zeros_like(expected) if exact else forward_error_bound(model, x)
    difference = (found.to(expected) - expected).abs()
    if not bool((difference <= bound).all()):  # so that a NaN fails
        excess = (difference - bound).nan_to_num(nan=math.inf)
        worst = tuple(int(i) for i in np.unravel_index(int(excess.argmax()), excess.shape))
        raise AssertionError(
            f"output {list(worst)} is {float(expected[worst]):.9g} and embedded {float(found[worst]):.9g}: they differ "
            f"by {float(difference[worst]):.3g}, of which rounding explains {float(bound[worst]):.3g}"
        )


def assert_nested(inner: nn.Module, outer: nn.Module, image: Sequence[int], *, draws: int = 3, seed: int = 0) -> None:
    """That each function of `inner` is a function of `outer`, which projecting random members on `outer` decides.

    The members have integer weights and go through float64, so that a class that is no part of the other one is
    found out by the energy that the projection loses, far above rounding.

    Args:
        inner: a net that is affine in its input, as a layer or a stack of convolutions with strides.
        outer: a convolution, transposed convolution, LocallyConnected2d or Linear.
        image: shape of one image, (channels, *spatial), that both take.
        draws: how many members are drawn.

    Raises:
        AssertionError: a member of `inner` that `outer` lacks, in its shape, weights or bias.
        InputError: another `outer`; an `inner` that is not affine.
    Source: theory.operators.project_conv.
    """
    if not isinstance(outer, LinearMap) or isinstance(outer, SparseLinear):
        raise InputError(f"outer must be one convolution, LocallyConnected2d or Linear, got {type(outer).__name__}")
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
    x = image_batch(2, image, black, seed, exact=True)
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
    return found.off_local if isinstance(outer, LocallyConnected2d) else found.off_local + found.local_unshared
