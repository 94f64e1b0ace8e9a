"""The β-LASSO step as one loop in C over float32 weights, compiled when first needed, where there is a C compiler."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Thread

import torch
from torch import Tensor

from lcfs.kernels import plain
from lcfs.kernels.rule import Rule

WORTH_COMPILING = plain.CHUNK  # weights: of fewer, `plain` takes well below a millisecond
_SHARE = 1 << 20  # least number of weights worth a thread of their own

_SOURCE = r"""
#include <math.h>
#include <stdint.h>

enum { BLOCK = 65536 };  /* a block counts in 32 bits, which vectorizes */

int64_t beta_lasso(float *restrict theta, const float *restrict gradient, float *restrict velocity, int64_t size,
                   float lr, float l1, float threshold, float momentum, int one_sided)
{
    int64_t nonzeros = 0;
    for (int64_t start = 0; start < size; start += BLOCK) {
        const int64_t end = size - start < BLOCK ? size : start + BLOCK;
        int32_t count = 0;
        for (int64_t i = start; i < end; i++) {
            float x = theta[i], direction = gradient[i];
            if (l1 != 0) direction += l1 * (float)((x > 0) - (x < 0));
            if (velocity) direction = velocity[i] = velocity[i] * momentum + direction;
            x -= direction * lr;
            x = (one_sided ? x : fabsf(x)) < threshold ? 0.0f : x;
            theta[i] = x;
            count += x != 0;
        }
        nonzeros += count;
    }
    return nonzeros;
}
"""
# -ffp-contract=off: a·b + c is rounded twice, as torch rounds it. Nothing here lets the compiler reorder arithmetic.
_FLAGS = ("-O3", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC")
_COMPILERS = ("cc", "gcc", "clang")  # after $CC
_NATIVE = ("-march=native", "-fprefetch-loop-arrays")  # prefetching is worth 7 % on an EPYC 9004

_Function = Callable[..., int]


def takes(theta: Tensor, gradient: Tensor, copy: Tensor | None) -> bool:
    """Whether `update_` can take these contiguous tensors, and is worth it."""
    floats = theta.dtype == gradient.dtype == torch.float32 and copy is None
    return floats and theta.numel() >= WORTH_COMPILING and function() is not None


def update_(rule: Rule, theta: Tensor, gradient: Tensor, velocity: Tensor | None = None) -> Tensor:
    """See `lcfs.kernels.update_`; contiguous float32 tensors on the CPU, shared out over torch's threads."""
    step = function()
    if step is None:
        raise RuntimeError("there is no compiled update on this machine; use lcfs.kernels.plain")
    nonzeros = _run(step, rule, theta, gradient, velocity)
    for tensor in (theta, velocity):
        if tensor is not None:
            torch.autograd.graph.increment_version(tensor)  # what every in-place operation of torch does
    return torch.tensor(nonzeros)


@cache
def function() -> _Function | None:
    """The compiled loop, or None: no Linux, no compiler, or a result that differs from torch's in any bit."""
    if not sys.platform.startswith("linux"):
        return None  # tried on Linux only; on a Mac without its tools, cc opens a window
    compilers = filter(None, (os.environ.get("CC"), *_COMPILERS))
    compiler = next(filter(None, map(shutil.which, compilers)), None)
    if compiler is None:
        return None
    for flags in ((*_FLAGS, *_NATIVE), _FLAGS):
        step = _compile([compiler, *flags])
        if step is not None and _equals_plain(step):
            return step
    return None


def _compile(command: list[str]) -> _Function | None:
    # A folder of its own for every process: nothing stale, nothing that another user or another CPU has built.
    with tempfile.TemporaryDirectory(prefix="lcfs-") as folder:
        source, library = Path(folder) / "update.c", Path(folder) / "update.so"
        source.write_text(_SOURCE)
        try:
            subprocess.run([*command, "-o", library, source, "-lm"], check=True, capture_output=True, timeout=60)
            step = ctypes.CDLL(str(library)).beta_lasso
        except (OSError, subprocess.SubprocessError):  # no such compiler, a refused flag, a folder without execution
            return None
    pointer, number = ctypes.c_void_p, ctypes.c_float
    step.argtypes = (pointer, pointer, pointer, ctypes.c_int64, number, number, number, number, ctypes.c_int)
    step.restype = ctypes.c_int64
    return step


def _equals_plain(step: _Function) -> bool:
    """Compare on numbers whose last bit tells a fused multiply-add, on ties with the threshold, zeros and NaN."""
    generator = torch.Generator().manual_seed(0)
    theta, gradient, velocity = torch.randn(3, 4099, generator=generator)
    theta[:5] = torch.tensor([0.0, -0.0, torch.nan, torch.inf, 0.5])
    gradient[4] = 0.0
    two_sided, one_sided = Rule(0.3, 0.01, 0.5), Rule(0.3, 0.01, 0.5, one_sided=True)
    for rule in (
        two_sided,
        one_sided,
        replace(two_sided, momentum=0.9),
        replace(two_sided, lr=0.0),
        Rule(0.3, 0.0, 0.0),
    ):
        speeds = [velocity.clone(), velocity.clone()] if rule.momentum else [None, None]
        expected, found = theta.clone(), theta.clone()
        plain.update_(rule, expected, gradient, speeds[0])
        count = _run(step, rule, found, gradient, speeds[1])
        same = torch.equal(expected.view(torch.int32), found.view(torch.int32)) and count == expected.count_nonzero()
        if not same or (speeds[0] is not None and not torch.equal(speeds[0], speeds[1])):
            return False
    return True


def _run(step: _Function, rule: Rule, theta: Tensor, gradient: Tensor, velocity: Tensor | None) -> int:
    """Number of non-zeros after the step; ctypes lets go of the interpreter, so plain threads run side by side."""
    size = theta.numel()
    threads = max(1, min(torch.get_num_threads(), size // _SHARE))
    share = max(1, -(-size // threads))
    numbers = (float(rule.lr), rule.l1, rule.threshold, rule.momentum, rule.one_sided)

    def part(start: int) -> int:
        offset = start * theta.element_size()
        pointers = [None if t is None else t.data_ptr() + offset for t in (theta, gradient, velocity)]
        return step(*pointers, min(share, size - start), *numbers)

    counts: list[int] = []
    others = [Thread(target=lambda start=start: counts.append(part(start))) for start in range(share, size, share)]
    for thread in others:
        thread.start()
    counts.append(part(0))
    for thread in others:
        thread.join()
    return sum(counts)
