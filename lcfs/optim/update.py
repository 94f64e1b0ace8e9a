"""One step of β-LASSO on one tensor, in three forms that give the same numbers bit for bit.

`plain` is torch alone and runs everywhere; `compiled` is a C loop for the CPU, used where a C compiler is found;
`gpu` is a Triton kernel, used on CUDA where Triton is installed. The last two read and write every number once and
count the non-zeros on the way. All three round after every operation, as Algorithm 1 is written: no multiplication is
fused with the addition after it.

Why a C compiler and not torch.compile, on 64 Mi weights with one thread of an EPYC 9004, in times of torch.optim.SGD:
C takes 1.1, and half a second to compile; torch.compile 1.6, a C++ compiler, Python's headers, and 35 seconds to
compile (8 from its cache); numba 1.1 and 208 MB on the disk; `plain` takes 3. benchmarks/update.py measures the two
that are here.
"""

import torch
from torch import Tensor

from lcfs.optim import compiled, plain
from lcfs.optim.rule import Rule


def update_(
    rule: Rule, theta: Tensor, gradient: Tensor, velocity: Tensor | None = None, copy: Tensor | None = None
) -> Tensor | None:
    """θ ← threshold(θ − η (∇f + λ sign θ)) in place, by the fastest form that can take these tensors.

    Soft thresholds are left to `plain`.

    Args:
        rule: the numbers of Algorithm 1.
        theta: weights, or their float32 master copy, any shape.
        gradient: like `theta`; of a lower precision if need be.
        velocity: like `theta`, updated in place; needed if and only if `rule.momentum` is used.
        copy: receives the new weights in its own precision, like `theta`.

    Returns:
        The number of non-zero weights, int64 `[]` on the device of `theta`, if it came for free; None otherwise.
    """
    tensors = [t for t in (theta, gradient, velocity, copy) if t is not None]
    # Pointers say nothing of strides, subclasses or devices: the fused forms take plain arrays in the same order.
    kinds = (Tensor, torch.nn.Parameter)
    fused = not rule.soft and all(type(t) in kinds and t.is_contiguous() and t.device == theta.device for t in tensors)
    if fused:
        if theta.device.type == "cpu" and compiled.takes(theta, gradient, copy):
            return compiled.update_(rule, theta, gradient, velocity, copy)
        if theta.device.type == "cuda":
            from lcfs.optim import gpu

            if gpu.takes(theta, velocity):
                return gpu.update_(rule, theta, gradient, velocity, copy)
    plain.update_(rule, theta, gradient, velocity, copy)
    return None
