"""Round trip: a training on a data set and with a net of the caller's own stops and resumes as any other does."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.data import Dataset, ImageSet
from lcfs.errors import InputError
from lcfs.exporting.runs import export
from lcfs.runs import Run
from lcfs.training.loop import Progress, train

CONFIG = TrainConfig(
    "s-fc", base_channels=2, epochs=2, batch_size=64, checkpoint_seconds=0, optimizer=OptimizerConfig(momentum=0.5),
    augment=AugmentConfig(crop=1),
)  # fmt: skip


def stripes(seed: int = 0) -> Dataset:
    """Two classes, horizontal and vertical stripes under noise, 6 × 6 with two channels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(400) % 2
    stripe = (torch.arange(6) % 2 * 200).repeat(6, 1)
    images = torch.stack([stripe, stripe.T])[labels][:, None].expand(-1, 2, -1, -1)
    images = (images + torch.randint(50, (400, 2, 6, 6), generator=generator)).to(torch.uint8)
    parts = [ImageSet(images[a:b], labels[a:b]) for a, b in ((0, 256), (256, 300), (300, 400))]
    return Dataset("stripes", *parts, classes=2, mean=(0.4, 0.4), std=(0.4, 0.4))


def small_net(hidden: int = 8, classes: int = 2) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, hidden, 3), nn.ReLU(), nn.Flatten(), nn.Linear(hidden * 16, classes))


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    state = Run.open(path).load_checkpoint()
    assert state is not None
    return state["model"]


def stop(progress: Progress) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("net", [small_net, lambda: None], ids=["own net", "lcfs.build's"])
def test_stopped_and_resumed_equals_never_stopped(tmp_path: Path, net: Any) -> None:
    whole = train(CONFIG, tmp_path / "whole", dataset=stripes(), model=net())
    assert whole.test_accuracy > 0.9
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, tmp_path / "stopped", dataset=stripes(), model=net(), on_epoch=stop)
    resumed = train(CONFIG, tmp_path / "stopped", dataset=stripes(), model=net(), resume=True)
    assert resumed == whole
    a, b = weights_of(tmp_path / "whole"), weights_of(tmp_path / "stopped")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_net_is_trained_in_place_and_counted(tmp_path: Path) -> None:
    net = small_net()
    before = net[0].weight.detach().clone()
    result = train(CONFIG, str(tmp_path / "run"), dataset=stripes(), model=net)
    assert not torch.equal(before, net[0].weight)
    assert torch.equal(weights_of(tmp_path / "run")["0.weight"], net[0].weight)
    assert result.weights == {"0": 144, "3": 256}


def test_config_json_names_what_was_handed_in_and_nobody_takes_it_for_another(tmp_path: Path) -> None:
    train(CONFIG, tmp_path / "run", dataset=stripes(), model=small_net())
    fields = json.loads((tmp_path / "run" / "config.json").read_text())
    assert fields["data"].startswith("own:stripes@")
    assert fields["architecture"].startswith("own:Sequential@")
    with pytest.raises(InputError, match="a dataset of your own"):
        Run.open(tmp_path / "run").config()
    with pytest.raises(InputError, match="a dataset of your own"):
        export(tmp_path / "run", tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("again", "words"),
    [
        ({}, r"dataset of your own \(stripes@.*lcfs\.train\(…, resume=True, dataset=…\)"),
        ({"dataset": stripes()}, r"model of your own \(Sequential@.*model=…"),
        ({"dataset": stripes(1), "model": small_net()}, "started with the dataset stripes@.*, not with stripes@"),
        ({"dataset": stripes(), "model": small_net(9)}, "started with the model Sequential@.*, not with Sequential@"),
    ],
    ids=["nothing", "no model", "other images", "other shapes"],
)
def test_a_resumed_run_must_get_the_same_again(tmp_path: Path, again: dict[str, Any], words: str) -> None:
    train(CONFIG, tmp_path / "run", dataset=stripes(), model=small_net())
    with pytest.raises(InputError, match=words):
        train(CONFIG, tmp_path / "run", resume=True, **again)


def test_a_run_by_names_takes_nothing_else(tmp_path: Path) -> None:
    train(replace(CONFIG, epochs=1), tmp_path / "run")
    with pytest.raises(InputError, match="started with the model s-fc, not with Sequential@"):
        train(CONFIG, tmp_path / "run", resume=True, model=small_net())


@pytest.mark.parametrize(
    ("given", "change", "words"),
    [
        ({"dataset": stripes(), "model": small_net(classes=3)}, {}, r"gives \(2, 3\) for 2 images, not .* \(2, 2\)"),
        ({"model": small_net()}, {}, r"does not take images of shape \(2, 1, 8, 8\)"),
        ({"dataset": stripes()}, {"validation": 10}, "set validation to 0"),
        ({"dataset": stripes(), "model": small_net()}, {"compact": True}, "leave compact out"),
    ],
    ids=["classes", "images", "validation", "compact"],
)
def test_what_does_not_fit_leaves_nothing_behind(
    tmp_path: Path, given: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        train(replace(CONFIG, **change), tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()
