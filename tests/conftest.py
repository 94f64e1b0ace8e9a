"""Shapes are checked in tests only: jaxtyping's annotations are enforced by beartype in every package of ours."""

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook(["lcfs", "theory"], "_typechecker.check")

torch.set_num_threads(1)  # nets this small gain nothing from threads, and several runs at once lose much

settings.register_profile("lcfs", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("lcfs")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
