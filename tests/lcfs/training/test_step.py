"""Reference: the order of dimensions and fused updates change a bf16 step by no more than a rounding."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

import lcfs
from lcfs import data
from lcfs.augmentation.augment import Augment
from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.training import step
from lcfs.training.optimizers import make_optimizer
from lcfs.training.step import Step

CONFIG = TrainConfig("s-conv", base_channels=2, precision="bf16", optimizer=OptimizerConfig("sgd", momentum=0.9))


def make(config: TrainConfig, **arguments: Any) -> Step:
    torch.manual_seed(0)
    dataset = data.load("digits")
    model = lcfs.build(config.architecture, base_channels=config.base_channels, image=(1, 8, 8))
    augmentation = Augment(AugmentConfig(crop=1), dataset.mean, dataset.std)
    generator = torch.Generator().manual_seed(1)
    optimizer = make_optimizer(model, config)
    return Step(model, optimizer, augmentation, dataset.train, generator, **{"bf16": True, **arguments})


def moved(made: Step) -> dict[str, Tensor]:
    """How far two steps move the weights."""
    before = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    for batch in torch.arange(64).split(32):
        made(batch, 0.1)
    return {name: p.detach() - before[name] for name, p in made.model.named_parameters()}


@pytest.mark.parametrize("net", ["s-conv", "d-conv", "resnet18"])
def test_convolutions_see_channels_last_and_the_rest_does_not(net: Any) -> None:
    made = make(replace(CONFIG, architecture=net))
    convolutions = [m for m in made.model.modules() if isinstance(m, torch.nn.Conv2d)]
    seen: list[Tensor] = []
    convolutions[0].register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    convolutions[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    made(torch.arange(16), 0.1)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert seen[-1].is_contiguous()


def test_the_order_of_dimensions_is_a_matter_of_speed() -> None:
    with patch.object(step, "_layout", lambda model: torch.contiguous_format):
        expected = moved(make(CONFIG))
    for name, value in moved(make(CONFIG)).items():
        # BatchNorm of a batch of 32 magnifies roundings of 2⁻⁹.
        assert (value - expected[name]).norm() < 0.02 * expected[name].norm(), name


def test_a_fused_update_is_sgd() -> None:
    """In float32, where nothing magnifies a last bit; only bf16 asks for it, so that old float32 runs stay the same."""
    fused, plain = make(CONFIG, bf16=False), make(replace(CONFIG, precision="fp32"), bf16=False)
    assert fused.optimizer.param_groups[0]["fused"]
    assert not plain.optimizer.param_groups[0]["fused"]
    expected = moved(plain)
    for name, value in moved(fused).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)
