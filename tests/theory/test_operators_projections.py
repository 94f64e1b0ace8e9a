"""Algebra: the projections on LOCAL and CONV, against dense least squares. Geometries refused; memory and its guard."""

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import sympy
from _layers import convolutions, integers
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from theory.operators import Convolution, project_conv, project_local

seeds = st.integers(0, 2**32 - 1)
EXACT = 1e-12  # relative; a mean of at most 10³ numbers, 2⁻⁵³ each
SOLVED = 1e-9  # relative; where taps collide, a pseudo-inverse of condition below 10⁶


def _tolerance(layer: Convolution) -> float:
    return SOLVED if layer.pattern.collides else EXACT


def _gaussian(layer: Convolution, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(layer.shape)


def _conv(layer: Convolution, matrix: np.ndarray) -> np.ndarray:
    return layer.csr(project_conv(layer, matrix).weight).toarray()


@given(convolutions(), seeds)
def test_projection_undoes_the_embedding(layer: Convolution, seed: int) -> None:
    """Exactly, where no taps collide; taps that never meet the image give 0; else the same matrix."""
    weight = integers(layer.weight_shape, seed)
    matrix = layer.csr(weight)
    found = project_conv(layer, matrix)
    assert found.off_local == 0
    if layer.pattern.collides:
        assert np.allclose(layer.csr(found.weight).toarray(), matrix.toarray(), rtol=0, atol=8 * SOLVED)
        assert found.local_unshared <= SOLVED**2 * (1 + found.shared)
    else:
        meets = layer.gram().diagonal().reshape(layer.weight_shape[2:]) > 0
        assert (found.weight == weight * meets).all()
        assert found.local_unshared == 0


@given(convolutions(), seeds)
def test_identity_where_the_embedding_is_injective(layer: Convolution, seed: int) -> None:
    weight = integers(layer.weight_shape, seed)
    same = np.allclose(project_conv(layer, layer.csr(weight)).weight, weight, rtol=0, atol=8 * SOLVED)
    injective = layer.conv_dimension == weight.size
    assert same or not injective
    if not injective:  # the smallest of several filters
        assert np.linalg.norm(project_conv(layer, layer.csr(weight)).weight) <= np.linalg.norm(weight) * (1 + SOLVED)


@given(convolutions(dims=[1, 2]), seeds)
def test_projection_is_least_squares(layer: Convolution, seed: int) -> None:
    """Oracle: E as a dense matrix, and numpy's least squares."""
    matrix = _gaussian(layer, seed)
    rows, columns, taps = layer.entries()
    columns_of_e = math.prod(layer.weight_shape)
    used, row = np.unique(rows * layer.shape[1] + columns, return_inverse=True)  # E has zeros everywhere else
    operator = np.zeros((len(used), columns_of_e))
    np.add.at(operator, (row, taps), 1.0)
    weight = np.linalg.lstsq(operator, matrix.ravel()[used], rcond=None)[0] if len(used) else np.zeros(columns_of_e)
    assert np.allclose(project_conv(layer, matrix).weight.ravel(), weight, rtol=0, atol=SOLVED)
    assert (operator.T @ operator == np.kron(np.eye(math.prod(layer.weight_shape[:2])), layer.gram())).all()


@given(convolutions(), seeds)
def test_projections_are_idempotent_self_adjoint_nested_and_nearest(layer: Convolution, seed: int) -> None:
    a, b = _gaussian(layer, seed), _gaussian(layer, seed + 1)
    close = {"rtol": 0, "atol": _tolerance(layer) * math.sqrt(a.size)}
    local, conv = project_local(layer, a).toarray(), _conv(layer, a)
    assert (project_local(layer, local).toarray() == local).all()
    assert np.allclose(_conv(layer, conv), conv, **close)
    assert np.isclose(np.vdot(local, b), np.vdot(a, project_local(layer, b).toarray()), **close)
    assert np.isclose(np.vdot(conv, b), np.vdot(a, _conv(layer, b)), **close)
    assert np.allclose(_conv(layer, local), conv, **close)  # CONV ⊂ LOCAL
    assert (project_local(layer, conv).toarray() == conv).all()
    other = layer.csr(project_conv(layer, a).weight + integers(layer.weight_shape, seed)).toarray()
    assert np.linalg.norm(a - conv) <= np.linalg.norm(a - other) * (1 + EXACT)


@given(convolutions(), seeds)
def test_energies_add_up(layer: Convolution, seed: int) -> None:
    matrix = _gaussian(layer, seed)
    found = project_conv(layer, matrix)
    assert math.isclose(found.energy, np.vdot(matrix, matrix), rel_tol=_tolerance(layer))
    assert math.isclose(found.local, sparse.linalg.norm(project_local(layer, matrix)) ** 2, rel_tol=_tolerance(layer))
    assert min(found.shared, found.local_unshared, found.off_local) >= 0


@given(convolutions(), seeds)
def test_sparse_and_dense_matrices_agree(layer: Convolution, seed: int) -> None:
    matrix = integers(layer.shape, seed) * (integers(layer.shape, seed + 1) > 0)
    for given_as in (sparse.csr_array(matrix), sparse.coo_array(matrix), sparse.csc_matrix(matrix)):
        dense, thin = project_conv(layer, matrix), project_conv(layer, given_as)
        assert (dense.weight == thin.weight).all()
        assert (dense.shared, dense.local_unshared, dense.off_local) == (
            thin.shared,
            thin.local_unshared,
            thin.off_local,
        )
        assert (layer.gradient(given_as) == layer.gradient(matrix)).all()
        assert (layer.to_local(given_as) == layer.to_local(matrix)).all()


@given(convolutions(), seeds)
def test_local_form_round_trip(layer: Convolution, seed: int) -> None:
    """CONV ⊂ LOCAL is one filter at every position; LOCAL survives its own form; colliding taps share equally."""
    weight = integers(layer.weight_shape, seed)
    everywhere = np.broadcast_to(weight, layer.local_shape)
    assert (layer.from_local(everywhere).toarray() == layer.csr(weight).toarray()).all()
    matrix = project_local(layer, _gaussian(layer, seed)).toarray()
    assert np.allclose(layer.from_local(layer.to_local(matrix)).toarray(), matrix, rtol=EXACT, atol=0)
    if not layer.pattern.collides:
        assert (layer.from_local(layer.to_local(matrix)).toarray() == matrix).all()


@given(convolutions())
def test_rank_is_exact(layer: Convolution) -> None:
    """Symbolic: the rank of each axis over the rationals."""
    for axis in layer.axes:
        assert axis.rank == sympy.Matrix(axis.gram.tolist()).rank()


def test_a_strided_matrix_is_rows_of_the_one_at_stride_one() -> None:
    fine, coarse = (Convolution((2, 7, 9), 3, (3, 2), stride, 1) for stride in (1, 2))
    weight = integers(fine.weight_shape, 0)
    rows = fine.matrix(weight).reshape(*fine.out_image, -1)[:, ::2, ::2]
    assert (coarse.matrix(weight) == rows.reshape(coarse.shape)).all()


@given(convolutions(padding_modes=["zeros"]), seeds)
def test_smaller_kernels_nest_in_wider_ones(layer: Convolution, seed: int) -> None:
    """One more tap and as much more padding: the class grows, so that the wider projection changes nothing."""
    wider = replace(
        layer,
        kernel=tuple(axis.kernel + 1 for axis in layer.axes),
        padding=tuple((axis.before, axis.after + axis.dilation) for axis in layer.axes),
    )
    assert wider.out_spatial == layer.out_spatial
    found = project_conv(wider, layer.csr(integers(layer.weight_shape, seed)))
    assert (found.local_unshared, found.off_local) == (0, 0)


def test_the_wider_class_is_not_nested_in_the_smaller() -> None:
    """Negative control."""
    wide, narrow = Convolution((1, 8), 1, 3, padding=1), Convolution((1, 8), 1, 2, padding=((1, 0),))
    assert project_conv(narrow, wide.csr(np.ones((1, 1, 3)))).off_local == 7


def test_spelling_of_the_geometry_does_not_matter() -> None:
    layers = {
        Convolution((3, 8, 8), 4, 3, 1, 1),
        Convolution((3, 8, 8), 4, (3, 3), (1, 1), ((1, 1), (1, 1))),
        Convolution((3, 8, 8), 4, (3, 3), padding="same"),
    }
    assert len(layers) == 1
    assert Convolution((3, 8), 4, 4, padding="same").padding == ((1, 2),)  # the odd one at the end, as torch


def test_dense_forms_are_guarded() -> None:
    layer = Convolution((3, 8, 8), 4, 3, padding=1)
    weight = np.ones(layer.weight_shape)
    with pytest.raises(ValueError, match=r"256 × 192 matrix takes 393,216 bytes, over the limit of 1,000: use csr\(\)"):
        layer.matrix(weight, limit_bytes=1000)
    assert layer.matrix(weight, limit_bytes=393_216).shape == (256, 192)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": (3,)}, "1 to 3 spatial axes"),
        ({"groups": 2}, "groups must divide"),
        ({"kernel": (3, 3, 3)}, "kernel must hold one value for each of 2"),
        ({"kernel": 9}, "spans 9 pixels of 8"),
        ({"padding": -1}, "padding must not be negative"),
        ({"padding": 8, "padding_mode": "reflect"}, "reflect padding of 8 pixels must be at most 7"),
        ({"padding": 9, "padding_mode": "circular"}, "circular padding of 8 pixels must be at most 8"),
        ({"padding_mode": "mirror"}, "padding_mode must be one of zeros, circular, reflect, replicate"),
        ({"padding": "full"}, '"same" or "valid"'),
        ({"padding": "same", "stride": 2}, 'padding "same" needs stride 1'),
        ({"dilation": 0}, "must be at least 1"),
    ],
)
def test_geometries_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Convolution(**({"image": (3, 8, 8), "out_channels": 4, "kernel": 3} | options))


def test_arrays_of_another_shape_are_refused() -> None:
    layer = Convolution((3, 8, 8), 4, 3)
    with pytest.raises(ValueError, match=r"weight must have the shape \(4, 3, 3, 3\)"):
        layer.csr(np.ones((3, 4, 3, 3)))
    with pytest.raises(ValueError, match=r"matrix must have the shape \(144, 192\)"):
        project_conv(layer, np.ones((192, 144)))
    with pytest.raises(ValueError, match=r"x must have the shape"):
        layer.apply(np.ones(layer.weight_shape), np.ones((2, 3, 8, 9)))


def test_memory_of_the_csr_form_is_that_of_its_nonzeros() -> None:
    """At most three times: the numbers, their columns, and the result's own copy of neither."""
    layer = Convolution((3, 32, 32), 64, 9, 2, 4)
    weight = np.ones(layer.weight_shape, dtype=np.float32)
    tracemalloc.start()
    matrix = layer.csr(weight)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * (matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)


def test_projection_needs_little_beyond_a_dense_matrix() -> None:
    layer = Convolution((3, 32, 32), 32, 9, 2, 4)
    matrix = np.ones(layer.shape, dtype=np.float32)
    tracemalloc.start()
    project_conv(layer, matrix)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < matrix.nbytes
