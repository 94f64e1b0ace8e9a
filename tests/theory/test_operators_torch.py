"""Oracle: torch's convolutions. Integers embed with equality, floats within γ_K; gradients are those of autograd."""

import math

import numpy as np
import pytest
import torch
from _layers import convolutions, in_torch, integers
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lcfs.nets.layers import LocallyConnected
from theory.operators import PADDING_MODES, Convolution, project_conv
from theory.operators.projections import solve_gram

seeds = st.integers(0, 2**32 - 1)
BATCH = 2


@given(convolutions(), seeds)
def test_integers_embed_exactly(layer: Convolution, seed: int) -> None:
    weight, x = integers(layer.weight_shape, seed), integers((BATCH, *layer.image), seed + 1)
    expected = in_torch(layer, torch.from_numpy(weight), torch.from_numpy(x)).numpy()
    assert expected.shape == (BATCH, *layer.out_image)
    assert (layer.apply(weight, x) == expected).all()
    assert (layer.csr(weight) @ x.reshape(BATCH, -1).T == expected.reshape(BATCH, -1).T).all()
    assert (layer.matrix(weight) @ x.reshape(BATCH, -1).T == expected.reshape(BATCH, -1).T).all()
    assert layer.apply(weight.astype(int), x.astype(int)).dtype == layer.csr(weight.astype(int)).dtype == int


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@given(
    dims=st.integers(1, 3),
    mode=st.sampled_from(PADDING_MODES),
    padding=st.sampled_from([0, 1, 2, "same", "valid"]),
    data=st.data(),
)
def test_takes_and_refuses_what_torch_does(dims: int, mode: str, padding: int | str, data: st.DataObject) -> None:
    """nn.Conv1d/2d/3d with its own padding arguments: the same output, or an error from both."""
    side = st.tuples(*[st.integers(1, 4)] * dims)
    spatial, kernel = data.draw(side), data.draw(side)
    stride, dilation = (data.draw(st.tuples(*[st.integers(1, 2)] * dims)) for _ in range(2))
    groups, inputs, outputs = (data.draw(st.sampled_from(some)) for some in ([1, 2], [2, 3], [2, 4]))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "padding_mode": mode}
    x = integers((BATCH, inputs, *spatial), 0)
    try:
        module = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](inputs, outputs, kernel, bias=False, **options).double()
        nn.init._no_grad_uniform_(module.weight, -8, 8).data.round_()
        expected = module(torch.from_numpy(x))
    except (RuntimeError, ValueError):
        with pytest.raises(ValueError, match=r"got|spans"):
            Convolution((inputs, *spatial), outputs, kernel, **options)
        return
    layer = Convolution((inputs, *spatial), outputs, kernel, **options)
    assert (layer.apply(module.weight.detach().numpy(), x) == expected.detach().numpy()).all()


@given(convolutions(), seeds)
def test_floats_obey_the_forward_error_bound(layer: Convolution, seed: int) -> None:
    """|y_fc − y_conv| ≤ 2 γ_K |W||x|, K products an output: each side sums them in some order, with unit u = 2⁻⁵³."""
    random = np.random.default_rng(seed)
    weight, x = random.standard_normal(layer.weight_shape), random.standard_normal((BATCH, *layer.image))
    products = math.prod(layer.weight_shape[1:])
    gamma = (products + 1) * 2.0**-53 / (1 - (products + 1) * 2.0**-53)  # one more for the rounding of |W||x| itself
    expected = in_torch(layer, torch.from_numpy(weight), torch.from_numpy(x)).numpy()
    bound = 2 * gamma * layer.apply(abs(weight), abs(x))
    assert (abs(layer.apply(weight, x) - expected) <= bound).all()
    sparse = (layer.csr(weight) @ x.reshape(BATCH, -1).T).T.reshape(expected.shape)
    assert (abs(sparse - expected) <= bound).all()


@given(convolutions(), seeds)
def test_adjoint(layer: Convolution, seed: int) -> None:
    """⟨Wx, y⟩ = ⟨x, Wᵀy⟩, and Wᵀy is autograd's gradient at x."""
    weight = integers(layer.weight_shape, seed)
    x, y = integers((BATCH, *layer.image), seed + 1), integers((BATCH, *layer.out_image), seed + 2)
    back = layer.adjoint(weight, y)
    assert np.vdot(layer.apply(weight, x), y) == np.vdot(x, back)
    assert (back.reshape(BATCH, -1) == y.reshape(BATCH, -1) @ layer.matrix(weight)).all()
    leaf = torch.from_numpy(x).requires_grad_()
    in_torch(layer, torch.from_numpy(weight), leaf).backward(torch.from_numpy(y))
    assert (leaf.grad.numpy() == back).all()


def _gradients(layer: Convolution, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """∇_w of ½‖conv(x)‖² and ∇_W of ½‖Wx‖² at W = E w, both by autograd."""
    weight, x = integers(layer.weight_shape, seed), torch.from_numpy(integers((BATCH, *layer.image), seed + 1))
    conv = torch.from_numpy(weight).requires_grad_()
    dense = torch.from_numpy(layer.matrix(weight)).requires_grad_()
    (in_torch(layer, conv, x).square().sum() / 2).backward()
    ((x.flatten(1) @ dense.T).square().sum() / 2).backward()
    return conv.grad.numpy(), dense.grad.numpy()


@given(convolutions(), seeds)
def test_gradient_of_the_filter_is_the_adjoint_of_the_embedding(layer: Convolution, seed: int) -> None:
    of_filter, of_matrix = _gradients(layer, seed)
    assert (layer.gradient(of_matrix) == of_filter).all()


@given(convolutions(), seeds)
def test_projected_gradient_needs_the_gram_matrix(layer: Convolution, seed: int) -> None:
    """P_conv ∇_W L = E (EᵀE)⁺ ∇_w L; relative tolerance 1e-9 for a pseudo-inverse of condition below 1e6."""
    of_filter, of_matrix = _gradients(layer, seed)
    projected = layer.csr(project_conv(layer, of_matrix).weight).toarray()
    scale = 1e-9 * (1 + np.linalg.norm(of_matrix))
    assert np.allclose(projected, layer.csr(solve_gram(layer, of_filter)).toarray(), rtol=0, atol=scale)
    residual = layer.gradient(of_matrix - projected)
    assert np.linalg.norm(residual) <= scale * math.sqrt(math.prod(layer.shape))  # orthogonal to CONV


def test_embedded_gradient_is_not_the_projected_one() -> None:
    """Negative control: E ∇_w L is too long, by the number of positions that share a tap."""
    layer = Convolution((1, 6), 1, 2)
    of_filter, of_matrix = _gradients(layer, 0)
    projected = layer.csr(project_conv(layer, of_matrix).weight)
    assert np.allclose(layer.csr(of_filter).toarray(), 5 * projected.toarray(), rtol=1e-12)
    assert np.linalg.norm(of_filter) > 0


@given(
    sides=st.tuples(st.integers(3, 6), st.integers(3, 6)),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    seed=seeds,
)
def test_local_form_is_that_of_locally_connected2d(
    sides: tuple[int, int], stride: int, padding: int, seed: int
) -> None:
    module = LocallyConnected(2, 3, sides, 3, stride=stride, padding=padding, bias=False).double()
    layer = Convolution((2, *sides), 3, 3, stride, padding)
    local, x = integers(layer.local_shape, seed), integers((BATCH, 2, *sides), seed)
    assert layer.local_shape == tuple(module.weight.shape)
    module.weight.data = torch.from_numpy(local)
    matrix = layer.from_local(local)
    expected = module(torch.from_numpy(x)).detach().numpy().reshape(BATCH, -1)
    assert (expected == (matrix @ x.reshape(BATCH, -1).T).T).all()
    module.weight.data = torch.from_numpy(layer.to_local(matrix))  # drops what lay on the padding
    assert (module(torch.from_numpy(x)).detach().numpy().reshape(BATCH, -1) == expected).all()


@given(convolutions(padding_modes=["zeros"]))
def test_nonzeros_follow_the_closed_formula(layer: Convolution) -> None:
    """Each tap t meets the image at the positions p with 0 ≤ p·stride + t·dilation − before < size."""
    count = math.prod(layer.weight_shape[:2])
    for axis in layer.axes:
        offsets = [axis.before - t * axis.dilation for t in range(axis.kernel)]
        first = [max(0, -(-offset // axis.stride)) for offset in offsets]
        last = [min(axis.out - 1, (axis.size - 1 + offset) // axis.stride) for offset in offsets]
        count *= sum(max(0, b - a + 1) for a, b in zip(first, last, strict=True))
    matrix = layer.csr(np.ones(layer.weight_shape))
    assert (
        matrix.nnz == layer.local_dimension == len(layer.entries().rows) == np.count_nonzero(matrix.toarray()) == count
    )


@given(convolutions())
def test_entries_are_the_ones_of_the_operator(layer: Convolution) -> None:
    rows, columns, taps = layer.entries()
    weight = integers(layer.weight_shape, 0)
    dense = np.zeros(layer.shape)
    np.add.at(dense, (rows, columns), weight.ravel()[taps])
    matrix = layer.csr(weight)
    assert (matrix.toarray() == dense).all()
    assert matrix.nnz == layer.local_dimension == len(set(zip(rows.tolist(), columns.tolist(), strict=True)))
    assert np.all(np.diff(matrix.indptr) >= 0)
    assert matrix.has_canonical_format  # sorted, nothing twice
