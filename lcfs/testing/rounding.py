"""How far rounding may carry the output of a net: a running error bound, layer by layer."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from lcfs.embedding.operations import LinearMap, Norm, Transposed, called
from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.tracing import trace
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected2d

_EXTRA = 8  # roundings beyond those of the sum: bias, a folded scale, and what an activation computes inside

# Largest slope of each activation: it carries an error e to at most slope · e. Numbers that it is given may raise it.
_UNIT = """identity dropout relu relu6 leakyrelu elu celu hardtanh tanh tanhshrink softshrink softsign softplus sigmoid
    hardsigmoid logsigmoid clamp add sub neg abs iadd isub mul imul"""
_STEEPER = {"gelu": 1.13, "silu": 1.1, "mish": 1.09, "hardswish": 1.5, "selu": 1.76}
_SLOPES = dict.fromkeys(_UNIT.split(), 1.0) | _STEEPER


@dataclass(frozen=True)
class _Running:
    """What a call returned, and how far from it the exact value and any other computation of it may lie."""

    value: Tensor
    error: Tensor

    @property
    def size(self) -> Tensor:
        """The largest magnitude that any computation may have here."""
        return self.value.abs() + self.error


def forward_error_bound(model: nn.Module, x: Tensor) -> Tensor:
    """How far any two computations of a net may differ by rounding, `[batch, ...]` as its output.

    A sum of K products in any order errs by at most γ_K Σ|w||x|, γ_n = nu / (1 − nu), u half the spacing of numbers
    at 1; later layers carry the error on by |W|, activations by their largest slope. The bound allows each layer a few
    roundings more, so that it also holds for a computation that has folded BatchNorm into the layer before it.

    Args:
        model: a net that `lcfs.embed` takes, in evaluation mode, of IEEE arithmetic (no TF32).
        x: `[batch, *image]` of the net's type.

    Raises:
        InputError: as `lcfs.embed`; an activation of unbounded slope.
    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2002, §3.1.
    """
    net = trace(model, tuple(x.shape[1:]))
    with torch.no_grad():
        return 2 * _RunningError(net).run(_Running(x, torch.zeros_like(x))).error


class _RunningError(fx.Interpreter):
    """Runs a traced net on values with their errors."""

    def run_node(self, n: fx.Node) -> Any:
        if n.op in ("placeholder", "output"):
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        value = self._call(n, args, kwargs, "value")
        if "kind" not in n.meta:  # a size, or a parameter
            return value
        inputs = [argument for argument in (*args, *kwargs.values()) if isinstance(argument, _Running)]
        if n.meta["kind"] == "reshape":
            return _Running(value, self._call(n, args, kwargs, "error"))
        if n.meta["kind"] == "average":
            carried, size = self._call(n, args, kwargs, "error"), self._call(n, args, kwargs, "size")
            return _Running(value, carried + _gamma(inputs[0].value[0].numel(), value.dtype) * size)
        if n.meta["kind"] == "elementwise":
            size = sum((argument.size for argument in inputs), value.abs())
            carried = self._slope(n, args, kwargs) * sum(argument.error for argument in inputs)
            return _Running(value, carried + _gamma(0, value.dtype) * size)
        (x,), module = inputs, self.fetch_attr(str(n.target))
        return _Running(value, _norm_error(module, x) if isinstance(module, Norm) else _linear_error(module, x))

    def _call(self, n: fx.Node, args: Any, kwargs: Any, part: str) -> Any:
        """The call on one part of what it is given."""

        def pick(argument: Any) -> Any:
            return getattr(argument, part) if isinstance(argument, _Running) else argument

        return getattr(self, n.op)(n.target, map_aggregate(args, pick), map_aggregate(kwargs, pick))

    def _slope(self, n: fx.Node, args: Any, kwargs: Any) -> float:
        """The largest slope of an elementwise call."""
        name = called(n, dict(self.module.named_modules())).lower().replace("_", "")
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        numbers = [getattr(module, attribute, 0.0) for attribute in ("negative_slope", "alpha")]
        numbers += [number for number in (*args, *kwargs.values()) if isinstance(number, int | float)]
        product = name in ("mul", "imul") and not any(isinstance(number, int | float) for number in args)
        if name not in _SLOPES or product:
            raise InputError(f"{n.name} ({name}) has no largest slope, so that nothing bounds its rounding")
        return max(_SLOPES[name], *(abs(float(number)) for number in numbers))


def _linear_error(module: LinearMap, x: _Running) -> Tensor:
    """|W| e + γ_K (|W| |x| + |b|)."""
    absolute: Any = copy.deepcopy(module)
    for parameter in absolute.parameters():
        parameter.abs_()
    size = absolute(x.size)
    absolute.bias = None
    return absolute(x.error) + _gamma(_terms(module), size.dtype) * size


def _norm_error(module: Norm, x: _Running) -> Tensor:
    """|a| e + γ (|a| (|x| + |μ|) + |β|) with a = γ/√(v + ε)."""
    assert module.running_mean is not None
    assert module.running_var is not None
    scale = (module.running_var + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight.abs()
    shift = module.running_mean.abs() * scale
    shift = shift if module.bias is None else shift + module.bias.abs()
    scale, shift = (each.view(1, -1, *[1] * (x.value.ndim - 2)) for each in (scale, shift))
    return scale * x.error + _gamma(0, x.value.dtype) * (scale * x.size + shift)


def _terms(module: LinearMap) -> int:
    """Most products in the sum of one output."""
    if isinstance(module, nn.Linear | SparseLinear):
        return module.in_features
    if isinstance(module, LocallyConnected2d):
        return math.prod(module.weight.shape[3:])
    if isinstance(module, Transposed):
        return module.weight.numel() // module.weight.shape[1] // module.groups
    return module.weight[0].numel()


def _gamma(terms: int, dtype: torch.dtype) -> float:
    nu = (terms + _EXTRA) * torch.finfo(dtype).eps / 2
    if nu >= 1:
        raise InputError(f"sums of {terms:,} terms may lose every digit in {dtype}; use a longer type")
    return nu / (1 - nu)
