"""Surface: the README's headline numbers are one command each: a preset on CIFAR-10 is a cell of the study."""

from dataclasses import replace

import pytest

from lcfs.config import presets
from studies.engine.scales import SCALES
from studies.engine.study import find


@pytest.mark.parametrize("name", ["s-conv-sgd", "s-local-sgd", "3-fc-sgd", "s-fc-sgd", "s-fc-l1", "s-fc-beta-lasso"])
def test_a_preset_on_cifar10_is_a_run_of_the_headline(name: str) -> None:
    cells = [cell.config for cell in find("training_fully_connected").cells(SCALES["laptop"])]
    assert presets("cifar10")[name] in [replace(config, seed=0) for config in cells]
