"""Reference: a locally-connected layer against torch's convolution and against a loop over positions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from lcfs import LocallyConnected


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(4, 7))
def test_equal_kernels_are_a_convolution(c: int, o: int, k: int, stride: int, padding: int, side: int) -> None:
    layer = LocallyConnected(c, o, (side, side + 1), k, stride=stride, padding=padding, bias=False).double()
    kernel = torch.randint(-4, 5, (o, c, k, k)).double()
    layer.weight.data[:] = kernel
    x = torch.randint(-4, 5, (2, c, side, side + 1)).double()
    assert torch.equal(layer(x), F.conv2d(x, kernel, stride=stride, padding=padding))  # integers: every order is exact


def test_against_a_loop_over_positions() -> None:
    layer = LocallyConnected(2, 3, (5, 6), 3, stride=2, padding=1).double()
    x = torch.randn(4, 2, 5, 6, dtype=torch.float64)
    padded = F.pad(x, (1, 1, 1, 1))
    y = layer(x)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            patch = padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            expected = torch.einsum("bckl,ockl->bo", patch, layer.weight[i, j]) + layer.bias[:, i, j]
            torch.testing.assert_close(y[:, :, i, j], expected, rtol=0, atol=1e-12)  # 18 products in float64


def test_gradients() -> None:
    layer = LocallyConnected(2, 2, (4, 4), 3, padding=1).double()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_autocast_casts_pixels_before_it_copies_them() -> None:
    layer = LocallyConnected(2, 3, (5, 6), 3, stride=2, padding=1, bias=False)
    x = torch.randn(4, 2, 5, 6)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, layer.bfloat16()(x.bfloat16()))


def test_kernel_larger_than_image() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        LocallyConnected(1, 1, (2, 9), 5, padding=1)
