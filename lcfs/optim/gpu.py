"""The β-LASSO step as one Triton kernel: every number is read and written once, and non-zeros are counted on the way.

One launch for each tensor, none of which makes the host wait. A table of pointers for a whole group would have to be
sent to the device in every step, since gradients move; and in a captured CUDA graph a launch costs the host nothing.
"""

import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, no_type_check

import torch
from torch import Tensor

from lcfs.optim import plain
from lcfs.optim.rule import Rule

# Optional, and comes with the CUDA builds of torch.
triton: Any = import_module("triton") if find_spec("triton") else None
tl: Any = import_module("triton.language") if triton else None

BLOCK = 2048  # elements of a program: four loads of 16 bytes for each of its 128 threads

if triton:

    @triton.jit
    @no_type_check  # Triton reads the source: a type checker's wrapper around it would hide it
    def step(
        theta,
        gradient,
        velocity,
        copy,
        nonzeros,
        size,
        lr,
        l1,
        threshold,
        momentum,
        lr_on_device: tl.constexpr,
        regularized: tl.constexpr,
        one_sided: tl.constexpr,
        block: tl.constexpr,
    ):
        """One block of Algorithm 1; `velocity` and `copy` may be None. Float32, whatever is stored."""
        i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
        inside = i < size
        x = tl.load(theta + i, inside, 0.0)
        direction = tl.load(gradient + i, inside, 0.0).to(tl.float32)
        if regularized:
            direction += tl.where(x > 0, l1, tl.where(x < 0, -l1, 0.0))
        if velocity is not None:
            direction += tl.load(velocity + i, inside, 0.0) * momentum
            tl.store(velocity + i, direction, inside)
        if lr_on_device:
            x -= direction * tl.load(lr).to(tl.float32)
        else:
            x -= direction * lr
        if one_sided:
            x = tl.where(x < threshold, 0.0, x)
        else:
            x = tl.where(tl.abs(x) < threshold, 0.0, x)
        tl.store(theta + i, x, inside)
        if copy is not None:
            tl.store(copy + i, x.to(copy.dtype.element_ty), inside)
        # What lies outside was loaded as zero and has stayed zero.
        tl.atomic_add(nonzeros, tl.sum((x != 0).to(tl.int32), 0).to(tl.int64), sem="relaxed")


def takes(theta: Tensor, velocity: Tensor | None) -> bool:
    """Whether `update_` can take these contiguous tensors on their device."""
    return all(t is None or t.dtype == torch.float32 for t in (theta, velocity)) and works(theta.device)


def update_(
    rule: Rule, theta: Tensor, gradient: Tensor, velocity: Tensor | None = None, copy: Tensor | None = None
) -> Tensor:
    """See `lcfs.optim.update.update_`; contiguous, `theta` and `velocity` in float32, the others in any precision."""
    nonzeros = torch.zeros((), dtype=torch.int64, device=theta.device)
    on_device = isinstance(rule.lr, Tensor)
    # floats, since Triton would compile a kernel anew for an integer 1
    numbers = (rule.lr if on_device else float(rule.lr), *map(float, (rule.l1, rule.threshold, rule.momentum)))
    size, choices = theta.numel(), (on_device, rule.l1 != 0, rule.one_sided, BLOCK)
    if size:
        # Without fusion, multiplication and addition are rounded one after the other, as in Algorithm 1 as written.
        with torch.cuda.device_of(theta):
            step[(triton.cdiv(size, BLOCK),)](
                theta, gradient, velocity, copy, nonzeros, size, *numbers, *choices, enable_fp_fusion=False
            )
    for tensor in (theta, velocity, copy):
        if tensor is not None:
            torch.autograd.graph.increment_version(tensor)  # what every in-place operation of torch does
    return nonzeros


@cache
def works(device: torch.device) -> bool:
    """Whether the kernel compiles and runs on a device and equals torch there; tried once, on a few numbers."""
    if triton is None:
        return False
    theta, gradient = torch.linspace(-1, 1, 2 * 1001, device=device).view(2, 1001)
    expected, rule = theta.clone(), Rule(0.3, 0.01, 0.5)
    try:
        update_(rule, theta, gradient)
        plain.update_(rule, expected, gradient)
        if torch.equal(theta, expected):
            return True
        reason = "its numbers differ from torch's"
    except Exception as error:  # from Triton, its compilers or the driver; what follows does the same, only slower
        reason = f"{type(error).__name__}: {error}"
    warnings.warn(f"Triton's update is not used on {device} ({reason}); torch's takes its place", stacklevel=2)
    return False
