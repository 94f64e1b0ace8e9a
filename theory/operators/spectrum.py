"""All singular values of a circular convolution, from one small matrix for each frequency."""

import numpy as np

from theory.operators.convolution import Convolution


def singular_values(convolution: Convolution, weight: np.ndarray) -> np.ndarray:
    """Singular values of W = E w for circular padding at stride 1, with an output as large as the input.

    The Fourier transform over space makes W block-diagonal: one `[out_channels, in_channels]` block a frequency (and
    group). The padding's split into before and after shifts the output and changes no singular value.

    Args:
        weight: `[out_channels, in_channels / groups, *kernel]`.

    Returns:
        `[pixels · min(out_channels, in_channels)]`, largest first.

    Raises:
        ValueError: another padding mode, a stride, an output of another size, or a weight of another shape.
    Source: Sedghi, Gupta and Long, The Singular Values of Convolutional Layers, ICLR 2019.
    """
    circular = all(axis.mode == "circular" or axis.padded == axis.size for axis in convolution.axes)
    same_size = convolution.out_spatial == convolution.spatial
    if not circular or not same_size or any(axis.stride != 1 for axis in convolution.axes):
        raise ValueError(f"the Fourier transform needs circular padding, stride 1 and equal sizes, got {convolution}")
    if weight.shape != convolution.weight_shape:
        raise ValueError(f"weight must have the shape {convolution.weight_shape}, got {weight.shape}")
    outputs, inputs = weight.shape[:2]
    pixels = np.arange(len(convolution.sources))
    first_row = weight.reshape(outputs, inputs, -1) @ (convolution.sources[0][:, None] == pixels)  # wrapped taps add up
    axes = tuple(range(2, 2 + len(convolution.spatial)))
    transfer = np.fft.fftn(first_row.reshape(outputs, inputs, *convolution.spatial), axes=axes)
    blocks = transfer.reshape(convolution.groups, -1, inputs, first_row.shape[-1]).transpose(0, 3, 1, 2)
    return np.sort(np.linalg.svd(blocks, compute_uv=False), axis=None)[::-1]
