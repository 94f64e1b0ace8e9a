"""How far rounding may carry the output of a net: a running error bound, layer by layer."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from lcfs.embedding.geometry import convolution_of
from lcfs.embedding.operations import LinearMap, Norm, Transposed, called
from lcfs.embedding.sparse import SparseLinear
from lcfs.embedding.tracing import trace
from lcfs.errors import InputError
from lcfs.nets.layers import LocallyConnected
from lcfs.testing.slopes import kept_error, normalized_error, product_error, slope

_EXTRA = 8  # roundings beyond those of the sum: bias, a folded scale, and what an activation computes inside


@dataclass(frozen=True)
class Running:
    """What a call returned, and how far from it the exact value and any other computation of it may lie."""

    value: Tensor
    error: Tensor

    @property
    def size(self) -> Tensor:
        """The largest magnitude that any computation may have here."""
        return self.value.abs() + self.error

    @property
    def zero(self) -> Tensor:
        """Zeros in its place."""
        return torch.zeros_like(self.value)


@dataclass(frozen=True)
class Roundings:
    """Relative errors of weights that are not the net's own numbers.

    Attributes:
        of_layers: of any layer's, as of one into which BatchNorm was folded.
        of_sums: of those that every embedding computes: of averages, and where several taps of a filter meet one pixel.
    """

    of_layers: float = 0.0
    of_sums: float = 0.0


def forward_error_bound(model: nn.Module, x: Tensor) -> Tensor:
    """Largest difference by rounding between any two computations of a net, `[batch, ...]` as its output.

    A sum of K products in any order errs by at most γ_K Σ|w||x|, γ_n = nu / (1 − nu), u half the spacing of numbers
    at 1; later layers carry the error on by |W|, activations by their largest slope. The bound allows each layer a few
    roundings more, so that it also holds for a computation that has folded BatchNorm into the layer before it. It grows
    with depth, five to ten times a layer: see `assert_embeds`, which starts anew at each layer.

    Args:
        model: a net that `lcfs.embed` takes, in evaluation mode, of IEEE arithmetic (no TF32).
        x: `[batch, *image]` of the net's type.

    Raises:
        InputError: as `lcfs.embed`; an activation of unbounded slope.
    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2002, §3.1.
    """
    return 2 * RunningError(trace(model, tuple(x.shape[1:]))).bounded(x).error


@dataclass
class Arrivals:
    """What reaches each of some calls in a run, where the run goes on with other numbers instead.

    Attributes:
        fresh: by call, the numbers to go on with.
        seen: by call, what reached it.
    """

    fresh: Mapping[fx.Node, Tensor] = field(default_factory=dict)
    seen: dict[fx.Node, Running] = field(default_factory=dict)


class RunningError(fx.Interpreter):
    """A traced net run on values with their errors.

    Args:
        net: what `trace` returns.
        arrivals: calls of layers at which the run goes on with fresh numbers, known without error.
        roundings: of the weights of another computation.
        watch: told of each call, what it was given and what it returned.
    """

    def __init__(
        self,
        net: fx.GraphModule,
        arrivals: Arrivals | None = None,
        roundings: Roundings | None = None,
        watch: Callable[[fx.Node, list[Running], Running], None] | None = None,
    ) -> None:
        super().__init__(net)
        self._arrivals = arrivals or Arrivals()
        self._roundings = roundings or Roundings()
        self._watch = watch
        self._modules = dict(net.named_modules())

    @torch.no_grad()
    def bounded(self, x: Tensor) -> Running:
        """The output for images that are known exactly."""
        try:
            found: Running = self.run(Running(x, torch.zeros_like(x)))
        except InputError as error:  # torch.fx adds paragraphs of its own
            raise InputError(str(error).partition("\n\n")[0]) from None
        return found

    def run_node(self, n: fx.Node) -> Any:
        if n.op in ("placeholder", "output"):
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if n in self._arrivals.fresh:
            (self._arrivals.seen[n],) = _running(args, kwargs)
            fresh = self._arrivals.fresh[n]
            args, kwargs = (Running(fresh, torch.zeros_like(fresh)),), {}
        value = self._call(n, args, kwargs, "value")
        if "kind" not in n.meta:  # a size, or a parameter
            return value
        inputs = _running(args, kwargs)
        if "pieces" in n.meta:
            return tuple(map(Running, value, self._call(n, args, kwargs, "error")))
        found = Running(value, self._error(n, args, kwargs, inputs, value))
        if self._watch is not None:
            self._watch(n, inputs, found)
        return found

    def _error(self, n: fx.Node, args: Any, kwargs: Any, inputs: list[Running], value: Tensor) -> Tensor:
        kind = n.meta["kind"]
        if kind in ("reshape", "max"):  # maxima differ by the largest error at most
            return self._call(n, args, kwargs, "error")
        if kind == "move":  # what padding puts there has none
            return (self._call(n, args, kwargs, "error") - self._call(n, args, kwargs, "zero")).abs()
        if kind == "average":
            carried, size = self._call(n, args, kwargs, "error"), self._call(n, args, kwargs, "size")
            gamma = _gamma(inputs[0].value[0].numel(), value.dtype) + self._roundings.of_sums
            return carried + gamma * size
        if kind == "elementwise":
            size = sum((each.size for each in inputs), value.abs())
            computed = any("value" in each.meta and each.op != "get_attr" for each in n.all_input_nodes)
            rounding = _gamma(0, value.dtype) + (_EXTRA * self._roundings.of_sums if computed else 0.0)
            return self._carried(n, args, kwargs, inputs) + rounding * size
        module: Any = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        if kind == "kept":
            rounding = _gamma(value[0].numel(), value.dtype)
            if isinstance(module, nn.GroupNorm | nn.LayerNorm):
                return normalized_error(module, inputs[0].value, inputs[0].error, value, rounding)
            return kept_error(called(n, self._modules), inputs[0].value, inputs[0].error, value, rounding)
        if isinstance(module, Norm):
            return _norm_error(module, inputs[0], self._roundings.of_layers)
        return _linear_error(n, module, inputs[0], self._roundings)

    def _carried(self, n: fx.Node, args: Any, kwargs: Any, inputs: list[Running]) -> Tensor:
        """What an elementwise call makes of the errors of its inputs."""
        name = called(n, self._modules)
        if name in ("mul", "imul") and len(inputs) == 2:
            return product_error(inputs[0].value, inputs[0].error, inputs[1].value, inputs[1].error)
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        steepest = slope(n.name, name, module, (*args, *kwargs.values()))
        return steepest * sum((each.error for each in inputs[1:]), inputs[0].error)

    def _call(self, n: fx.Node, args: Any, kwargs: Any, part: str) -> Any:
        """The call on one part of what it is given."""

        def pick(argument: Any) -> Any:
            return getattr(argument, part) if isinstance(argument, Running) else argument

        return getattr(self, n.op)(n.target, map_aggregate(args, pick), map_aggregate(kwargs, pick))


def _running(args: Any, kwargs: Any) -> list[Running]:
    """All of them, also those in lists."""
    found: list[Running] = []
    map_aggregate((args, kwargs), lambda each: found.append(each) if isinstance(each, Running) else each)
    return found


def _linear_error(n: fx.Node, module: LinearMap, x: Running, roundings: Roundings) -> Tensor:
    """|W| e + γ_K (|W| |x| + |b|)."""
    convolution = convolution_of(str(n.target), module, n.all_input_nodes[0].meta["shape"], n.meta["shape"])
    axes = convolution.axes if convolution is not None else ()
    taps = math.prod(axis.kernel for axis in axes) if any(axis.collides for axis in axes) else 0
    taps += _EXTRA * n.meta.get("computed", False)
    rounding = roundings.of_layers + taps * roundings.of_sums
    absolute: Any = copy.deepcopy(module)
    for parameter in absolute.parameters():
        parameter.abs_()
    size = absolute(x.size)
    absolute.bias = None
    return absolute(x.error) + (_gamma(_terms(module), size.dtype) + rounding) * size


def _norm_error(module: Norm, x: Running, rounding: float) -> Tensor:
    """|a| e + γ (|a| (|x| + |μ|) + |β|) with a = γ/√(v + ε)."""
    assert module.running_mean is not None
    assert module.running_var is not None
    scale = (module.running_var + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight.abs()
    shift = module.running_mean.abs() * scale
    shift = shift if module.bias is None else shift + module.bias.abs()
    scale, shift = (each.view(1, -1, *[1] * (x.value.ndim - 2)) for each in (scale, shift))
    return scale * x.error + (_gamma(0, x.value.dtype) + rounding) * (scale * x.size + shift)


def _terms(module: LinearMap) -> int:
    """Most products in the sum of one output."""
    if isinstance(module, nn.Linear | SparseLinear):
        return module.in_features
    if isinstance(module, LocallyConnected):
        return math.prod(module.weight.shape[len(module.image) + 1 :])
    if isinstance(module, Transposed):
        return module.weight.numel() // module.weight.shape[1] // module.groups
    return module.weight[0].numel()


def _gamma(terms: int, dtype: torch.dtype) -> float:
    nu = (terms + _EXTRA) * torch.finfo(dtype).eps / 2
    if nu >= 1:
        raise InputError(f"sums of {terms:,} terms may lose every digit in {dtype}; use a longer type")
    return nu / (1 - nu)
