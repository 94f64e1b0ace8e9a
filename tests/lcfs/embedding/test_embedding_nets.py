"""Reference: embeddings of the paper's nets are nets of the paper, load into them, and compute the same."""

from pathlib import Path

import pytest
import torch
from torch import nn

import lcfs
from lcfs.config import TrainConfig
from lcfs.nets.folding import fold_batchnorm
from lcfs.runs import Run
from lcfs.testing import assert_only_embeds
from lcfs.testing.filling import fill
from lcfs.training.loop import train

IMAGE = (3, 16, 18)


def _net(name: str, image: tuple[int, int, int] = IMAGE) -> nn.Module:
    return fill(lcfs.build(name, base_channels=2, image=image, classes=5), 0, exact=False)


@pytest.mark.parametrize("into", ["local", "fc"])
@pytest.mark.parametrize("name", lcfs.ARCHITECTURES)
def test_all_nets_embed(name: str, into: str) -> None:
    assert_only_embeds(_net(name).double(), into, IMAGE)


@pytest.mark.parametrize("name", ["s-conv", "d-conv", "resnet18"])
def test_folded_nets_embed(name: str) -> None:
    """BatchNorm folds into the convolution, and that embeds; the bound allows for the folded scale."""
    net = _net(name).double()
    assert_only_embeds(net, lcfs.embed(fold_batchnorm(net), "fc", IMAGE), IMAGE)


@pytest.mark.parametrize("family", ["s", "d"])
@pytest.mark.parametrize("kind", ["local", "fc"])
def test_state_dicts_load_into_the_twin(family: str, kind: str) -> None:
    net = _net(f"{family}-conv")
    embedded = lcfs.embed(net, kind, IMAGE)
    twin = lcfs.build(f"{family}-{kind}", base_channels=2, image=IMAGE, classes=5).eval()
    twin.load_state_dict(embedded.state_dict())
    assert [tuple(p.shape) for p in twin.parameters()] == [tuple(p.shape) for p in embedded.parameters()]
    assert_only_embeds(net, twin, IMAGE)
    if kind == "local":  # LOCAL ⊂ FC for the twin itself
        whole = lcfs.build(f"{family}-fc", base_channels=2, image=IMAGE, classes=5).eval()
        whole.load_state_dict(lcfs.embed(twin, "fc", IMAGE).state_dict())
        assert_only_embeds(twin, whole, IMAGE)


@pytest.mark.parametrize("name", ["s-conv", "d-conv"])
def test_trained_nets_embed(name: str, tmp_path: Path) -> None:
    """From the checkpoint of `lcfs train`, and back: the same file."""
    config = TrainConfig(name, base_channels=2, epochs=1, batch_size=256, dropout=0.1)
    train(config, tmp_path / "run")
    state = (Run.open(tmp_path / "run").load_checkpoint() or {})["model"]
    image = (1, 8, 8)
    net = lcfs.build(name, base_channels=2, image=image, dropout=0.1)
    net.load_state_dict(state)
    net.eval()
    for kind in ("local", "fc"):
        twin = lcfs.build(name.replace("conv", kind), base_channels=2, image=image)
        twin.load_state_dict(lcfs.embed(net, kind, image).state_dict())
        assert_only_embeds(net, twin.eval(), image)
        back = lcfs.project(twin, net, image)
        assert back.off_local == 0
        assert_only_embeds(net, back.model, image)


def test_units_of_a_channel_start_alike_and_then_differ() -> None:
    """The twin is free: one training step of FC from the embedding breaks the sharing that CONV keeps."""
    net = _net("s-conv")
    twin = lcfs.embed(net, "fc", IMAGE).train()
    x, y = torch.randn(8, *IMAGE), torch.arange(8) % 5
    nn.functional.cross_entropy(twin(x), y).backward()
    with torch.no_grad():
        for parameter in twin.parameters():
            assert parameter.grad is not None
            parameter -= 0.1 * parameter.grad
    found = lcfs.project(twin, net, IMAGE)
    conv1 = next(array for array in found.arrays if array.name == "conv1.weight")
    assert min(conv1.local_unshared, conv1.off_local) > 1e-6 * conv1.energy
