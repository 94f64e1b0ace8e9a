"""The β-LASSO step as one loop in C over float32 weights, compiled when first needed, where there is a C compiler."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from threading import Thread

import torch
from torch import Tensor

from lcfs.optim import plain
from lcfs.optim.rule import Rule

WORTH_COMPILING = 1 << 14  # weights: of fewer, `plain` takes some ten microseconds
_SHARE = 1 << 20  # least number of weights worth a thread of their own

_SOURCE = r"""
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 512 };  /* weights: their gradient in float stays in the first cache; counts in 32 bits vectorize */

static void from_bfloat16(float *restrict full, const uint16_t *restrict half, int64_t size)
{
    for (int64_t i = 0; i < size; i++) {
        const uint32_t bits = (uint32_t)half[i] << 16;
        memcpy(full + i, &bits, sizeof bits);
    }
}

static void to_bfloat16(uint16_t *restrict half, const float *restrict full, int64_t size)
{
    for (int64_t i = 0; i < size; i++) {
        uint32_t bits;
        memcpy(&bits, full + i, sizeof bits);
        const uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;  /* ties to even */
        half[i] = (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : nearest;  /* NaN would overflow */
    }
}

static int32_t step(float *restrict theta, const float *restrict gradient, float *restrict velocity, int64_t size,
                    float lr, float l1, float threshold, float momentum, int one_sided)
{
    int32_t nonzeros = 0;
    for (int64_t i = 0; i < size; i++) {
        float x = theta[i], direction = gradient[i];
        if (l1 != 0) direction += l1 * (float)((x > 0) - (x < 0));
        if (velocity) direction = velocity[i] = velocity[i] * momentum + direction;
        x -= direction * lr;
        x = (one_sided ? x : fabsf(x)) < threshold ? 0.0f : x;
        theta[i] = x;
        nonzeros += x != 0;
    }
    return nonzeros;
}

/* Without a copy the gradient is float; with one, both are bfloat16. */
int64_t beta_lasso(float *theta, const void *gradient, float *velocity, uint16_t *copy, int64_t size,
                   float lr, float l1, float threshold, float momentum, int one_sided)
{
    int64_t nonzeros = 0;
    float full[BLOCK];
    for (int64_t i = 0; i < size; i += BLOCK) {
        const int64_t n = size - i < BLOCK ? size - i : BLOCK;
        if (copy) from_bfloat16(full, (const uint16_t *)gradient + i, n);
        nonzeros += step(theta + i, copy ? full : (const float *)gradient + i, velocity ? velocity + i : 0, n,
                         lr, l1, threshold, momentum, one_sided);
        if (copy) to_bfloat16(copy + i, theta + i, n);
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
    half = torch.float32 if copy is None else torch.bfloat16
    fits = theta.dtype == torch.float32 and gradient.dtype == half and (copy is None or copy.dtype == half)
    return fits and theta.numel() >= WORTH_COMPILING and function() is not None


def update_(
    rule: Rule, theta: Tensor, gradient: Tensor, velocity: Tensor | None = None, copy: Tensor | None = None
) -> Tensor:
    """See `lcfs.optim.update.update_`; contiguous tensors on the CPU, shared out over torch's threads.

    `theta` and `velocity` are float32; so is `gradient`, unless there is a copy: then both are bfloat16.
    """
    step = function()
    if step is None:
        raise RuntimeError("there is no compiled update on this machine; use lcfs.optim.plain")
    nonzeros = _run(step, rule, theta, gradient, velocity, copy)
    for tensor in (theta, velocity, copy):
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
    step.argtypes = (pointer, pointer, pointer, pointer, ctypes.c_int64, number, number, number, number, ctypes.c_int)
    step.restype = ctypes.c_int64
    return step


def _equals_plain(step: _Function) -> bool:
    """Compare on numbers whose last bit tells a fused multiply-add, on ties with the threshold, zeros and NaN."""
    generator = torch.Generator().manual_seed(0)
    theta, gradient, velocity = torch.randn(3, 4099, generator=generator)
    theta[:5] = torch.tensor([0.0, -0.0, torch.nan, torch.inf, 0.5])
    gradient[4] = 0.0
    two_sided, one_sided = Rule(0.3, 0.01, 0.5), Rule(0.3, 0.01, 0.5, one_sided=True)
    rules = (two_sided, one_sided, replace(two_sided, momentum=0.9), replace(two_sided, lr=0.0), Rule(0.3, 0.0, 0.0))
    for rule, dtype in product(rules, (torch.float32, torch.bfloat16)):
        forms = []
        for form in (partial(_run, step), plain.update_):
            weights, speed = theta.clone(), velocity.clone() if rule.momentum else None
            copy = None if dtype == torch.float32 else torch.empty_like(theta, dtype=dtype)
            form(rule, weights, gradient.to(dtype), speed, copy)
            forms.append([weights, *(t for t in (speed, copy) if t is not None)])
        # NaN is NaN, whatever its bits
        if not all(torch.equal(_bits(a), _bits(b)) for a, b in zip(*forms, strict=True)):
            return False
    return _run(step, two_sided, theta, gradient) == theta.count_nonzero().item()


def _bits(values: Tensor) -> Tensor:
    return values.nan_to_num(0.0).view(torch.int16)


def _run(
    step: _Function,
    rule: Rule,
    theta: Tensor,
    gradient: Tensor,
    velocity: Tensor | None = None,
    copy: Tensor | None = None,
) -> int:
    """Number of non-zeros after the step; ctypes lets go of the interpreter, so plain threads run side by side."""
    size = theta.numel()
    threads = max(1, min(torch.get_num_threads(), size // _SHARE))
    share = max(1, -(-size // threads))
    numbers = (float(rule.lr), rule.l1, rule.threshold, rule.momentum, rule.one_sided)

    def part(start: int) -> int:
        arrays = (theta, gradient, velocity, copy)
        pointers = [None if t is None else t.data_ptr() + start * t.element_size() for t in arrays]
        return step(*pointers, min(share, size - start), *numbers)

    counts: list[int] = []
    others = [Thread(target=lambda start=start: counts.append(part(start))) for start in range(share, size, share)]
    for thread in others:
        thread.start()
    counts.append(part(0))
    for thread in others:
        thread.join()
    return sum(counts)
