"""Reference: every operation on every image gives what each on the images that chose it gives, bit for bit."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcfs.augmentation import policy_gpu
from lcfs.augmentation.policy import FAST_AUTOAUGMENT, Policy

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="the GPU's policy needs Triton")
CPU = torch.device("cpu")

SHAPES = [(3, 32, 32), (3, 7, 11), (1, 8, 8), (3, 1, 1)]


def images(shape: tuple[int, int, int], count: int, seed: int) -> torch.Tensor:
    """Noise of full and narrow range, and constant images."""
    pixels = torch.randint(256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    pixels[1::3] = pixels[1::3] // 5 + 60
    pixels[2::9] = 77
    return pixels


def assert_forms_agree(policy: Policy, pixels: torch.Tensor, seed: int) -> None:
    states = [torch.Generator().manual_seed(seed) for _ in range(2)]
    expected = policy(pixels, states[0])
    before = pixels.clone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "grouped", policy.everywhere)
        found = policy(pixels, states[1])
    assert torch.equal(found, expected)
    assert torch.equal(*(state.get_state() for state in states))
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["fa-cifar10", "fa-svhn", "trivial"])
def test_forms_agree_on_published_policies(name: str, shape: tuple[int, int, int]) -> None:
    assert_forms_agree(Policy(name), images(shape, 200, 0), 1)


STEP = st.tuples(st.sampled_from(sorted(FAST_AUTOAUGMENT)), st.floats(0, 1), st.floats(0, 1))


@given(
    st.lists(st.lists(STEP, min_size=1, max_size=3), min_size=1, max_size=6),
    st.sampled_from(SHAPES),
    st.integers(1, 20),
    st.integers(0, 2**31),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_forms_agree_on_any_policy(
    tmp_path: Path, policy: list[list[tuple[str, float, float]]], shape: tuple[int, int, int], count: int, seed: int
) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy), encoding="utf-8")
    assert_forms_agree(Policy(str(path)), images(shape, count, seed), seed)


def test_an_operation_with_its_neighbours_magnitude_would_be_noticed() -> None:
    """Negative control: the images differ that the forms are compared on."""
    policy, pixels = Policy("trivial"), images((3, 8, 8), 50, 0)
    chosen = torch.arange(50) % len(policy.operations)
    magnitude = torch.linspace(0, 1, 50, dtype=torch.float64)
    position = torch.rand(50, 2, dtype=torch.float64)
    right = policy.everywhere(pixels, chosen, magnitude, position)
    assert torch.equal(right, policy.grouped(pixels, chosen, magnitude, position))
    assert not torch.equal(right, policy.everywhere(pixels, chosen, magnitude.roll(1), position))


@needs_triton
def test_the_kernel_equals_torch_in_the_interpreter() -> None:
    """In a process of its own: Triton reads TRITON_INTERPRET when it is imported."""
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, str(Path(__file__))], check=True, env=environment)


def interpreted() -> None:
    """Every operation of both tables, on whole and broken blocks, with one channel and with three."""
    for name, shape in (("trivial", (1, 8, 8)), ("fa-cifar10", (3, 5, 11))):
        policy, state = Policy(name), torch.Generator().manual_seed(1)
        operation = policy._tables[CPU][0]
        tables = policy_gpu.tabulate(policy.operations, policy._tables[CPU], torch.Size(shape), CPU)
        drawn = torch.arange(0, len(operation), 3)
        assert set(operation[drawn].flatten().tolist()) == set(range(len(policy.operations)))
        uniform = torch.rand(len(drawn), 4, dtype=torch.float64, generator=state)
        uniform[:, 0] /= 4  # most are applied
        pixels = images(shape, len(drawn), 0)
        for k in range(operation.shape[1]):
            expected = policy.step(pixels, drawn, uniform, k)
            assert not torch.equal(expected, pixels)
            assert torch.equal(policy_gpu.apply(tables, pixels, drawn, uniform, k), expected), (name, k)


@needs_triton
@pytest.mark.parametrize("fusion", [False, True])
def test_the_code_for_a_gpu_fuses_nothing(fusion: bool) -> None:
    """Compiled here without a GPU; with fusion allowed it does fuse, which is the negative control."""
    from triton import compile as build
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    numbers = {"images": "*u8", "result": "*u8", "drawn": "*i64", "uniform": "*fp64", "probability": "*fp64"}
    entries = {"kinds": "*i32", "rows": "*i32", "amounts": "*fp64", "source": "*i32", "value": "*u8"}
    choices = {"channels": 3, "block": 1024}
    scalars = dict.fromkeys(("k", "steps", "height", "width"), "i32")
    signature = numbers | entries | scalars | dict.fromkeys(choices, "constexpr")
    source = ASTSource(policy_gpu.step, signature, choices)
    code = build(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": fusion}).asm["ptx"]
    assert ("fma." in code) == fusion


def test_where_the_kernel_does_not_run_torch_takes_over() -> None:
    policy = Policy("trivial")
    if policy_gpu.triton is None:
        assert policy._tried(torch.Size((1, 8, 8)), CPU) is None
        return
    with pytest.warns(UserWarning, match="Triton's augmentation is not used on cpu"):
        assert policy._tried(torch.Size((1, 8, 8)), CPU) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["fa-cifar10", "trivial"])
def test_a_gpu_gives_what_a_cpu_gives(name: str) -> None:
    policy, device = Policy(name), torch.device("cuda")
    pixels, drawn = images((3, 32, 32), 400, 0), torch.arange(400)
    uniform = torch.rand(400, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    policy(pixels.to(device), torch.Generator(device))
    tables = policy._kernel(torch.Size((3, 32, 32)), device)
    assert tables is not None
    found = policy_gpu.apply(tables, pixels.to(device), drawn.to(device), uniform.to(device), 0)
    assert torch.equal(found.cpu(), policy.step(pixels, drawn, uniform, 0))


if __name__ == "__main__":
    interpreted()
