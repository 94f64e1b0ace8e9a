"""Reference: every form of the update against Algorithm 1 and against each other, bit for bit; negative controls."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lcfs.optim import compiled, gpu, plain
from lcfs.optim.rule import Rule
from lcfs.optim.update import update_

COMPILER = sys.platform.startswith("linux") and any(map(shutil.which, ("cc", "gcc", "clang")))
needs_compiler = pytest.mark.skipif(not COMPILER, reason="the compiled update needs a C compiler on Linux")
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="the GPU's update needs Triton")

RULES = (
    Rule.of(0.1, 0.01, 20.0),
    Rule.of(0.1, 0.01, 20.0, momentum=0.9),
    Rule.of(0.1, 0.01, 0.0),
    Rule.of(0.1, 0.01, 20.0, one_sided=True),
    Rule.of(0.1, 0.01, 0.0, one_sided=True),
    Rule.of(0.1, 0.0, 20.0, momentum=0.5),
    Rule.of(0.0, 0.01, 20.0),
    Rule.of(torch.tensor(0.1), 0.01, 20.0),
)
BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}


def algorithm_1(rule: Rule, theta: Tensor, gradient: Tensor, velocity: Tensor | None) -> tuple[Tensor, Tensor]:
    """(new weights, new velocity), one rounding after every operation."""
    direction = gradient.float() + rule.l1 * theta.sign() if rule.l1 else gradient.float()
    if velocity is not None:
        direction = rule.momentum * velocity + direction
    theta = theta - rule.lr * direction
    size = theta if rule.one_sided else theta.abs()
    return torch.where(size < rule.threshold, 0.0, theta), direction


def numbers(size: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, gradients and velocities of sizes where rounding shows, with zeros, ties, infinities and NaN."""
    theta, gradient, velocity = torch.randn(3, size, generator=torch.Generator().manual_seed(seed))
    special = torch.tensor([0.0, -0.0, torch.nan, torch.inf, 0.2, -0.2, 1e-40, 0.1999])[:size]
    theta[: len(special)] = special
    gradient[: len(special)] = 0.0
    return theta, gradient, velocity


def assert_same_bits(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == expected.dtype
    assert torch.equal(found.view(BITS[found.dtype]), expected.view(BITS[expected.dtype]))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("size", [0, 1, 7, 4099, 2 * plain.CHUNK + 5])
def test_plain_is_algorithm_1(rule: Rule, size: int) -> None:
    theta, gradient, velocity = numbers(size)
    speed = velocity.clone() if rule.momentum else None
    expected, direction = algorithm_1(rule, theta, gradient, speed)
    plain.update_(rule, theta, gradient, speed)
    assert_same_bits(theta, expected)
    if speed is not None:
        assert_same_bits(speed, direction)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_plain_takes_gradients_and_fills_copies_of_half_precision(half: torch.dtype) -> None:
    theta, gradient, _ = numbers(plain.CHUNK + 3)
    gradient, copy = gradient.to(half), torch.zeros_like(theta, dtype=half)
    expected, _ = algorithm_1(RULES[0], theta, gradient, None)
    plain.update_(RULES[0], theta, gradient, None, copy)
    assert_same_bits(theta, expected)
    assert_same_bits(copy, expected.to(half))


SOFT = (
    Rule.of(0.1, 0.01, 20.0, soft=True),
    Rule.of(0.1, 0.01, 20.0, momentum=0.9, soft=True),
    Rule.of(0.1, 0.01, 20.0, one_sided=True, soft=True),
    Rule.of(0.1, 0.01, 0.0, soft=True),
    Rule.of(torch.tensor(0.1), 0.01, 20.0, soft=True),
)


@pytest.mark.parametrize("rule", SOFT, ids=str)
def test_plain_soft_thresholds_are_shrinkage(rule: Rule) -> None:
    """sign(x) max(|x| − ηβλ, 0), and the fused forms, which do not know it, leave it to torch."""
    theta, gradient, velocity = numbers(2 * plain.CHUNK + 5)
    speed = velocity.clone() if rule.momentum else None
    moved = theta - rule.lr * (gradient if speed is None else rule.momentum * velocity + gradient)
    size, amount = (moved if rule.one_sided else moved.abs()), rule.lr * rule.threshold
    shrunk = torch.where(size <= amount, 0.0, moved - moved.sign() * amount)
    assert update_(rule, theta, gradient, speed) is None
    torch.testing.assert_close(theta, shrunk, rtol=0, atol=0, equal_nan=True)
    assert Rule.of(0.1, 0.0, 20.0, soft=True) == Rule.of(0.1, 0.0, 20.0), "without λ it is SGD"


def test_a_fused_multiply_add_would_be_noticed() -> None:
    """Negative control: torch's fused θ − ηd differs from the twice rounded one on these numbers."""
    theta, gradient, _ = numbers(4099)
    fused = theta.double() - (torch.tensor(0.3).double() * gradient.double())
    assert not torch.equal(fused.float()[8:], (theta - 0.3 * gradient)[8:])


@needs_compiler
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_equals_plain(rule: Rule, threads: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled.function() is not None
    monkeypatch.setattr(compiled, "_SHARE", 1000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for size in (0, 1, 7, 4099, 70_001):  # beyond a block of the C loop
        theta, gradient, velocity = numbers(size)
        found, expected = theta.clone(), theta.clone()
        speeds = (velocity.clone(), velocity.clone()) if rule.momentum else (None, None)
        half = dtype == torch.bfloat16  # of gradient and copy
        copies = (torch.empty(size, dtype=dtype), torch.empty(size, dtype=dtype)) if half else (None, None)
        count = compiled.update_(rule, found, gradient.to(dtype), speeds[0], copies[0])
        plain.update_(rule, expected, gradient.to(dtype), speeds[1], copies[1])
        assert_same_bits(found, expected)
        assert count == expected.count_nonzero()
        if copies[0] is not None and copies[1] is not None:
            assert torch.equal(copies[0].isnan(), copies[1].isnan())  # torch has two NaN, for vectors and for the rest
            assert_same_bits(copies[0].nan_to_num(), copies[1].nan_to_num())
        if speeds[0] is not None and speeds[1] is not None:
            assert_same_bits(speeds[0], speeds[1])


@needs_compiler
@given(st.integers(0, 2**31), st.floats(0, 10, width=32), st.floats(0, 1, width=32), st.floats(0, 100, width=32))
def test_compiled_equals_plain_whatever_the_numbers(seed: int, lr: float, l1: float, beta: float) -> None:
    theta, gradient, _ = numbers(257, seed)
    expected, rule = theta.clone(), Rule.of(lr, l1, beta)
    compiled.update_(rule, theta, gradient)
    plain.update_(rule, expected, gradient)
    assert_same_bits(theta, expected)


@needs_compiler
def test_large_arrays_are_counted_on_the_way_and_known_to_autograd() -> None:
    theta, gradient, _ = numbers(compiled.WORTH_COMPILING)
    version = theta._version
    assert update_(RULES[0], theta, gradient) == theta.count_nonzero() < theta.numel()
    assert theta._version > version, "autograd would not see that a saved tensor has changed"
    assert update_(RULES[0], theta[:9], gradient[:9]) is None, "small arrays are not worth it"
    copy = theta.bfloat16()
    version = copy._version
    assert update_(RULES[0], theta, gradient.bfloat16(), None, copy) == theta.count_nonzero()
    assert copy._version > version
    assert update_(RULES[0], theta, gradient, None, copy) is None, "both in half precision, or none"
    assert update_(RULES[0], theta, gradient.half(), None, copy.half()) is None, "bfloat16 only"


@needs_compiler
def test_what_pointers_do_not_describe_goes_to_torch() -> None:
    theta, gradient, _ = numbers(2 * compiled.WORTH_COMPILING)
    expected, _ = algorithm_1(RULES[0], theta, gradient, None)
    strided = theta.clone().view(2, -1).t()
    assert update_(RULES[0], strided, gradient.view(2, -1).t()) is None
    assert_same_bits(strided.t().flatten(), expected)
    double = theta.double()
    assert update_(RULES[0], double, gradient.double()) is None
    torch.testing.assert_close(double.float()[8:], expected[8:], rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("compiler", ["absent", "broken", "careless"])
def test_without_a_faithful_compiler_torch_takes_over(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiler == "careless" and not COMPILER:
        pytest.skip("needs a C compiler to misuse")
    script = tmp_path / "cc"
    real = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), "")
    bodies = {
        "broken": "exit 1",
        "careless": f'exec {real} "$@" -ffast-math -nostartfiles',
    }  # startfiles would stop subnormals for good
    if compiler != "absent":
        script.write_text(f"#!/bin/sh\n{bodies[compiler]}\n")
        script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setattr(compiled, "_COMPILERS", ())
    compiled.function.cache_clear()
    try:
        assert compiled.function() is None
        theta, gradient, _ = numbers(compiled.WORTH_COMPILING)
        expected, _ = algorithm_1(RULES[0], theta, gradient, None)
        assert update_(RULES[0], theta, gradient) is None
        assert_same_bits(theta, expected)
        with pytest.raises(RuntimeError, match="no compiled update"):
            compiled.update_(RULES[0], theta, gradient)
    finally:
        compiled.function.cache_clear()


@needs_triton
def test_triton_equals_plain_in_the_interpreter() -> None:
    """In a process of its own: Triton reads TRITON_INTERPRET when it is imported."""
    here = Path(__file__)
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, str(here)], check=True, env=environment)


def interpreted() -> None:
    """Every rule, with every precision of gradient and copy, on whole and broken blocks."""
    assert gpu.works(torch.device("cpu"))
    precisions = (torch.float32, torch.bfloat16, torch.float16)
    for rule in RULES:
        for gradients, copies, size in zip(precisions, (*precisions[1:], None), (1, gpu.BLOCK, 5003), strict=True):
            theta, gradient, velocity = numbers(size)
            gradient = gradient.to(gradients)
            found, expected = theta.clone(), theta.clone()
            speeds = (velocity.clone(), velocity.clone()) if rule.momentum else (None, None)
            pair = (None, None) if copies is None else tuple(torch.zeros(size, dtype=copies) for _ in range(2))
            count = gpu.update_(rule, found, gradient, speeds[0], pair[0])
            plain.update_(rule, expected, gradient, speeds[1], pair[1])
            assert_same_bits(found, expected)
            assert count == expected.count_nonzero()
            if speeds[0] is not None and speeds[1] is not None:
                assert_same_bits(speeds[0], speeds[1])
            if copies == torch.float16:
                assert_same_bits(pair[0], pair[1])
            elif copies == torch.bfloat16:  # the interpreter cuts bits off where a GPU rounds
                assert_same_bits(pair[0], (found.view(torch.int32) >> 16).short().view(torch.bfloat16))


@needs_triton
@pytest.mark.parametrize("fusion", [False, True])
def test_the_code_for_a_gpu_fuses_nothing_and_rounds_copies_to_nearest(fusion: bool) -> None:
    """Compiled here without a GPU; with fusion allowed it does fuse, which is the negative control."""
    from triton import compile as build
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    pointers = {"theta": "*fp32", "gradient": "*bf16", "velocity": "*fp32", "copy": "*bf16", "nonzeros": "*i64"}
    scalars = {"size": "i32", "lr": "fp32", "l1": "fp32", "threshold": "fp32", "momentum": "fp32"}
    choices = {"lr_on_device": False, "regularized": True, "one_sided": False, "block": gpu.BLOCK}
    signature = pointers | scalars | dict.fromkeys(choices, "constexpr")
    aligned = {(i,): [["tt.divisibility", 16]] for i in (0, 1, 2, 3, 5)}
    source = ASTSource(gpu.step, signature, choices, aligned)
    code = build(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": fusion}).asm["ptx"]
    assert ("fma." in code) == fusion
    assert "cvt.rn.bf16" in code
    assert "ld.global.v4" in code or "ld.global.v2.b64" in code, "loads are not vectorized"


if __name__ == "__main__":
    interpreted()
