"""Reference: every operation on every image gives what each on the images that chose it gives, bit for bit."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcfs.policy import FAST_AUTOAUGMENT, Policy

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
