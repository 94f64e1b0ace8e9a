"""The largest slope of each activation: it carries an error e to at most slope · e."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from lcfs.errors import InputError

_UNIT = """identity dropout relu relu6 leakyrelu elu celu hardtanh tanh tanhshrink softshrink softsign softplus sigmoid
    hardsigmoid logsigmoid clamp add sub neg abs iadd isub mul imul"""
_STEEPER = {"gelu": 1.13, "silu": 1.1, "mish": 1.09, "hardswish": 1.5, "selu": 1.76}
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
    if known not in _SLOPES:
        raise InputError(f"{where} ({name}) has no largest slope, so that nothing bounds its rounding")
    numbers = [getattr(module, attribute, 0.0) for attribute in ("negative_slope", "alpha")]
    numbers += [argument for argument in arguments if isinstance(argument, int | float)]
    return max(_SLOPES[known], *(abs(float(number)) for number in numbers))


def product_error(a: Tensor, a_error: Tensor, b: Tensor, b_error: Tensor) -> Tensor:
    """|a| e_b + |b| e_a + e_a e_b: how far off a product of activations may be."""
    return a.abs() * b_error + b.abs() * a_error + a_error * b_error
