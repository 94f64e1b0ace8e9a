"""The square loss of a network as one of the tensor T = w_1 ⊗ … ⊗ w_L of its filters: P = C T with a 0/1 matrix C."""

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np


@functools.lru_cache(maxsize=64)
def tensor_entries(filter_sizes: tuple[int, ...]) -> np.ndarray:
    """[Πk_i, L]: for each entry of w_1 ⊗ … ⊗ w_L its factors, as positions in the concatenated filters."""
    offsets = np.cumsum([0, *filter_sizes[:-1]])
    return np.indices(filter_sizes).reshape(len(filter_sizes), -1).T + offsets


@functools.lru_cache(maxsize=64)
def _one_hot(filter_sizes: tuple[int, ...]) -> np.ndarray:
    """[L, Πk_i, Σk_i]: which weight of filter i an entry of the tensor contains."""
    return (tensor_entries(filter_sizes).T[..., None] == np.arange(sum(filter_sizes))).astype(int)


def derivatives(
    w: np.ndarray, filter_sizes: tuple[int, ...], form: np.ndarray, linear: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(gradient, Hessian) of ½ TᵀFT − cᵀT in the concatenated filters w, T = w_1 ⊗ … ⊗ w_L.

    Args:
        w: [..., Σk_i], of any dtype: exact on an object array of Fractions.
        filter_sizes: k_1 … k_L.
        form: F, [..., Πk_i, Πk_i], symmetric.
        linear: c, [..., Πk_i].
    Returns: [..., Σk_i] and [..., Σk_i, Σk_i].
    """
    layers, one_hot = range(len(filter_sizes)), _one_hot(filter_sizes)
    factors = tensor_factors(w, filter_sizes)
    residual = (form @ np.prod(factors, axis=0)[..., None])[..., 0] - linear
    first = first_derivatives(factors, filter_sizes)
    gradient = (first.swapaxes(-1, -2) @ residual[..., None])[..., 0]
    hessian = first.swapaxes(-1, -2) @ (form @ first)
    for i, j in itertools.combinations(layers, 2):
        weight = math.prod((factors[m] for m in layers if m not in (i, j)), start=residual)
        mixed = (one_hot[i].T * weight[..., None, :]) @ one_hot[j]
        hessian = hessian + mixed + mixed.swapaxes(-1, -2)
    return gradient, hessian


def tensor_factors(w: np.ndarray, filter_sizes: tuple[int, ...]) -> np.ndarray:
    """[L, ..., Πk_i]: the factors of each entry of T, for concatenated filters w, [..., Σk_i]."""
    return np.moveaxis(w[..., tensor_entries(filter_sizes)], -1, 0)


def first_derivatives(factors: np.ndarray, filter_sizes: tuple[int, ...]) -> np.ndarray:
    """dT/dw, [..., Πk_i, Σk_i], from T's factors."""
    one_hot = _one_hot(filter_sizes)
    parts = [one_hot[i] * np.prod(np.delete(factors, i, axis=0), axis=0)[..., None] for i in range(len(factors))]
    return np.sum(parts, axis=0)


def scaling_directions(w: np.ndarray, filter_sizes: Sequence[int]) -> np.ndarray:
    """[..., Σk_i, L−1]: the columns (…, w_i, −w_{i+1}, …), along which P does not change."""
    layer = np.repeat(np.arange(len(filter_sizes)), filter_sizes)
    signs = (layer[:, None] == np.arange(len(filter_sizes) - 1)).astype(int)
    signs -= layer[:, None] == np.arange(1, len(filter_sizes))
    return w[..., None] * signs


def balanced(w: np.ndarray, filter_sizes: Sequence[int]) -> np.ndarray:
    """The same T from filters of equal norm: nothing runs to infinity that T does not."""
    parts = np.split(w, np.cumsum(filter_sizes)[:-1], axis=-1)
    norms = np.stack([np.linalg.norm(part, axis=-1) for part in parts], axis=-1)
    scales = np.exp(np.log(norms).mean(-1, keepdims=True)) / norms
    return w * np.repeat(scales, filter_sizes, axis=-1)
