"""Algebra: what is removed is the smallest and stays exactly zero. Reference by full sort. Round trip: resuming."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lcfs.config import OptimizerConfig, PruneConfig, TrainConfig, from_dict, to_dict
from lcfs.errors import InputError
from lcfs.runs import Run
from lcfs.training import loop
from lcfs.training.loop import train
from lcfs.training.optimizers import make_optimizer
from lcfs.training.pruning import Place, Pruning, place, smallest_removed, total_epochs

CONFIG = TrainConfig(
    "s-fc",
    base_channels=1,
    epochs=3,
    batch_size=256,
    checkpoint_seconds=0,
    optimizer=OptimizerConfig("sgd", momentum=0.9, weight_decay=5e-4),
    prune=PruneConfig(rounds=3, fraction=0.5, rewind_epoch=1),
)
WEIGHTS = ("conv1", "fc1", "fc2")


def checkpoint(path: Path) -> dict:
    state = Run.open(path).load_checkpoint()
    assert state is not None
    return state


@given(st.integers(0, 2**31), st.floats(0, 1, exclude_max=True))
def test_the_smallest_of_what_remains_are_removed(seed: int, fraction: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(5, 7, generator=generator), torch.randn(11, generator=generator)]
    masks = [torch.rand(t.shape, generator=generator) < 0.6 for t in tensors]
    after = smallest_removed(tensors, masks, fraction)
    assert not any((new & ~old).any() for new, old in zip(after, masks, strict=True)), "nothing comes back"
    before = torch.cat([t[mask].abs() for t, mask in zip(tensors, masks, strict=True)])
    kept = torch.cat([t[mask].abs() for t, mask in zip(tensors, after, strict=True)])
    assert torch.equal(kept.sort().values, before.sort().values[int(fraction * len(before)) :])


def test_of_equal_magnitudes_exactly_the_share_goes() -> None:
    (mask,) = smallest_removed([torch.ones(10)], [torch.ones(10, dtype=torch.bool)], 0.3)
    assert mask.sum() == 7


@pytest.mark.parametrize(
    "optimizer",
    [
        OptimizerConfig("sgd", momentum=0.9, weight_decay=0.1),
        OptimizerConfig("beta-lasso", l1_conv=1e-3, l1_fc=1e-3, beta=1.0, momentum=0.5),
        OptimizerConfig("beta-lasso", l1_conv=1e-3, l1_fc=1e-3, beta=1.0, threshold="soft"),
    ],
    ids=lambda optimizer: f"{optimizer.name}-{optimizer.threshold}",
)
def test_what_was_removed_stays_exactly_zero_and_the_rest_is_rewound(optimizer: OptimizerConfig) -> None:
    config = replace(CONFIG, epochs=2, optimizer=optimizer)
    model = nn.Sequential(nn.Linear(9, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    algorithm = make_optimizer(model, config)
    pruning = Pruning(config, model, algorithm)

    def epoch() -> None:
        for _ in range(3):
            algorithm.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(16, 9)), torch.randint(3, (16,))).backward()
            algorithm.step()

    early: dict[str, Tensor] = {}
    for number in range(total_epochs(config)):
        pruning.begin(number)
        if number == 1:
            early = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if place(config, number).round > 1:
            removed = {f"{name}": ~mask for name, mask in pruning.masks.items()}
            assert sum(int(mask.sum()) for mask in removed.values()) >= 48
            rewound = {name: early[name].masked_fill(removed.get(name, torch.tensor(False)), 0) for name in early}
            assert all(torch.equal(tensor, rewound[name]) for name, tensor in model.state_dict().items())
            epoch()
            weights = dict(model.named_parameters())
            assert all(not weights[name][mask].any() for name, mask in removed.items())
            assert any((weights[name] != rewound[name]).any() for name in removed), "the others train"
        else:
            epoch()


def test_without_holding_gradients_they_would_come_back() -> None:
    """Negative control: the masks do it, and not the zeros alone."""
    weight = nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.ones(2, 2)
    torch.optim.SGD([weight], 0.1).step()
    assert weight.all()


def test_rounds_begin_at_the_epoch_that_is_gone_back_to() -> None:
    places = [place(CONFIG, epoch) for epoch in range(total_epochs(CONFIG))]
    assert places == [Place(1, 0), Place(1, 1), Place(1, 2), Place(2, 1), Place(2, 2), Place(3, 1), Place(3, 2)]
    assert total_epochs(replace(CONFIG, prune=PruneConfig())) == 3


def test_a_run_of_several_rounds(tmp_path: Path) -> None:
    result = train(CONFIG, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    rows = run.metrics()
    assert [row["round"] for row in rows] == [1, 1, 1, 2, 2, 3, 3]
    assert [row["epoch"] for row in rows if "test/accuracy" in row] == [3, 5, 7]
    rates = [row["train/lr"] for row in rows]
    assert rates[1:3] == rates[3:5] == rates[5:7]
    summary = run.summary()
    assert summary is not None
    total = sum(result.weights.values())
    assert sum(result.nonzeros.values()) == summary["metrics"]["round/3/nonzeros"] == -(-total // 4)
    assert summary["metrics"]["round/3/test_accuracy"] == result.test_accuracy
    masks = checkpoint(tmp_path / "run")["pruning"]["masks"]
    state = checkpoint(tmp_path / "run")["model"]
    assert all(not state[name][~mask].any() for name, mask in masks.items())


def test_layer_by_layer_every_layer_loses_its_share(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1, prune=PruneConfig(rounds=2, fraction=0.75, scope="layer"))
    result = train(config, tmp_path / "run")
    assert result.nonzeros == {name: result.weights[name] - int(0.75 * result.weights[name]) for name in WEIGHTS}


class _Stop(Exception):
    pass


@pytest.mark.parametrize("after", [1, 3, 4])
def test_stopped_in_any_round_and_resumed_equals_never_stopped(tmp_path: Path, after: int) -> None:
    whole = train(CONFIG, tmp_path / "whole")

    def stop(progress: loop.Progress) -> None:
        if progress.epoch == after:
            raise _Stop

    with pytest.raises(_Stop):
        train(CONFIG, tmp_path / "stopped", on_epoch=stop)
    assert train(CONFIG, tmp_path / "stopped", resume=True) == whole
    first, second = checkpoint(tmp_path / "whole")["model"], checkpoint(tmp_path / "stopped")["model"]
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert Run.open(tmp_path / "whole").summary() == Run.open(tmp_path / "stopped").summary()


@pytest.mark.parametrize(
    ("prune", "words"),
    [
        ({"rounds": 0}, "prune.rounds"),
        ({"rounds": 2, "fraction": 1.0}, "prune.fraction"),
        ({"rounds": 2, "fraction": 0.5, "rewind_epoch": 3}, "prune.rewind_epoch"),
        ({"rounds": 2}, "fraction above 0"),
        ({"fraction": 0.5}, "rounds to 2"),
    ],
)
def test_bad_configurations(prune: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(CONFIG, prune=PruneConfig(**prune))
    with pytest.raises(InputError, match="compact"):
        replace(CONFIG, compact=True)


def test_configurations_of_before_there_was_pruning_are_read() -> None:
    values = to_dict(replace(CONFIG, prune=PruneConfig()))
    for name in ("prune", "random_labels"):
        del values[name]
    del values["optimizer"]["threshold"]
    assert from_dict(values) == replace(CONFIG, prune=PruneConfig())
    assert from_dict(to_dict(CONFIG)) == CONFIG
