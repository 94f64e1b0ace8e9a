"""The largest slope of each activation: it carries an error e to at most slope · e."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lcfs.errors import InputError

_UNIT = """identity dropout relu relu6 leakyrelu elu celu hardtanh tanh tanhshrink softshrink softsign softplus sigmoid
    hardsigmoid logsigmoid clamp add sub neg abs iadd isub mul imul prelu maximum minimum clone"""
_STEEPER = {"gelu": 1.13, "silu": 1.1, "mish": 1.09, "hardswish": 1.5, "selu": 1.76}
_CONSTANT = (int, float, Tensor)
_SLOPES = dict.fromkeys(_UNIT.split(), 1.0) | _STEEPER


def slope(where: str, name: str, module: nn.Module | None, arguments: Sequence[Any]) -> float:
    """Largest slope of an elementwise call in each of its inputs; numbers that it is given may raise it.

    Args:
        where: the call in its net, for errors.
        name: what is called, as "LeakyReLU" or "leaky_relu".
        arguments: all that it is given.

    Raises:
        InputError: a call of unbounded slope, as a product of activations.
    """
    known = name.lower().replace("_", "")
    if known in ("div", "truediv", "itruediv") and len(arguments) > 1:
        return float(1 / torch.as_tensor(arguments[1]).abs().min()) if isinstance(arguments[1], _CONSTANT) else math.inf
    if known not in _SLOPES:
        raise InputError(f"{where} ({name}) has no largest slope, so that nothing bounds its rounding")
    numbers = [getattr(module, attribute, 0.0) for attribute in ("negative_slope", "alpha")]
    if known == "prelu" and module is not None:
        numbers.append(module.get_parameter("weight"))
    if known not in ("add", "sub", "iadd", "isub"):
        numbers += [each for each in arguments if isinstance(each, _CONSTANT) and not isinstance(each, bool)]
    return max(_SLOPES[known], *(float(torch.as_tensor(number).detach().abs().max()) for number in numbers))


def kept_error(name: str, x: Tensor, error: Tensor, value: Tensor, rounding: float) -> Tensor:
    """How far off softmax (which carries the largest error on by 1, its logarithm by 2) and dropout of channels may be.

    Args:
        x, error: `[batch, ...]`, what is given and how far off it is.
        value: what the call returns.
        rounding: relative, of a sum over the image.

    Raises:
        InputError: a call of another kind.
    """
    known = name.lower().replace("_", "")
    if known.startswith("dropout"):
        return error + rounding * value.abs()
    if "softmax" in known:
        largest = _largest(error)
        return 2 * largest + rounding * (_largest(x) + largest + value.abs() + 1)
    raise InputError(f"{name} as a function is not known well enough to bound its rounding; use the module")


def normalized_error(
    module: nn.GroupNorm | nn.LayerNorm, x: Tensor, error: Tensor, value: Tensor, rounding: float
) -> Tensor:
    """How far off y = (x − μ)/σ · γ + β may be: 2 (1 + |(x − μ)/σ|) e/σ · γ, σ the least of a group, γ the largest."""
    if isinstance(module, nn.GroupNorm):
        groups = x.reshape(len(x), module.num_groups, -1)
    else:
        groups = x.flatten(x.ndim - len(module.normalized_shape)).reshape(
            len(x), -1, math.prod(module.normalized_shape)
        )
    each = [1] * (x.ndim - 1)
    deviation = (groups.var(-1, correction=0).amin(1) + module.eps).sqrt().reshape(-1, *each)
    largest = _largest(error) + rounding * (_largest(x) + _largest(error))
    relative = 2 * largest * (1 + math.sqrt(groups.shape[-1])) / deviation
    scale, shift = (1.0 if p is None else float(p.detach().abs().max()) for p in (module.weight, module.bias))
    return scale * relative + rounding * (value.abs() + shift)


def _largest(numbers: Tensor) -> Tensor:
    """`[batch, 1, ...]`, the largest magnitude in each example."""
    return numbers.abs().amax(tuple(range(1, numbers.ndim)), keepdim=True)


def product_error(a: Tensor, a_error: Tensor, b: Tensor, b_error: Tensor) -> Tensor:
    """|a| e_b + |b| e_a + e_a e_b: how far off a product of activations may be."""
    return a.abs() * b_error + b.abs() * a_error + a_error * b_error
