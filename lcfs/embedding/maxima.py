"""Max-pooling as the largest of several units: which pixels each window sees, on each axis."""

from typing import Any

from torch import fx, nn

from lcfs.embedding.averages import as_module, per_axis
from lcfs.embedding.moving import max_windows
from lcfs.embedding.operations import AdaptiveMaxPool, called
from lcfs.embedding.units import MaxOf
from lcfs.errors import InputError


def max_of(node: fx.Node, modules: dict[str, nn.Module]) -> MaxOf:
    """The layer on vectors that a call of kind "max" is.

    Raises:
        InputError: one that also returns where the maxima are.
    """
    before, after = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
    module: Any = modules[str(node.target)] if node.op == "call_module" else as_module(called(node, modules), node)
    if module.return_indices:
        raise InputError(f"{node.target} returns indices, which are no activations; leave return_indices out")
    if isinstance(module, AdaptiveMaxPool):
        sides = zip(before[1:], after[1:], strict=True)
        return max_windows([[_span(o, n, m) for o in range(m)] for n, m in sides], before[0], before[1:])
    axes = len(before) - 1
    each = zip(
        before[1:],
        after[1:],
        *(per_axis(value, axes) for value in (module.kernel_size, module.stride, module.padding, module.dilation)),
        strict=True,
    )
    windows = [
        [_seen(o * stride - padding, kernel, dilation, size) for o in range(out)]
        for size, out, kernel, stride, padding, dilation in each
    ]
    return max_windows(windows, before[0], before[1:])


def _seen(start: int, kernel: int, dilation: int, size: int) -> list[int]:
    """Positions inside the image that a window meets."""
    return [place for tap in range(kernel) if 0 <= (place := start + tap * dilation) < size]


def _span(output: int, inputs: int, outputs: int) -> list[int]:
    """What an adaptive window sees: from ⌊o n/m⌋ up to ⌈(o + 1) n/m⌉."""
    return list(range(output * inputs // outputs, -(-(output + 1) * inputs // outputs)))
