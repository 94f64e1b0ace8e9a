"""Reference: two processes train the net that one trains. Round trip: a checkpoint of either goes on with the other.

Tolerances: in float64 the two differ only in the order of sums, 1e-12 is some 1e4 roundings. In float32 the same order
of sums is worth 1e-7 a step and the runs are a few steps long; 1e-6 is what is promised.
"""

import os
import shutil
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from lcfs import build, cli
from lcfs.augmentation.augment import Augment
from lcfs.compaction import compact
from lcfs.config import Architecture, AugmentConfig, OptimizerConfig, PruneConfig, TrainConfig
from lcfs.errors import InputError
from lcfs.optim import BetaLasso, parameter_groups
from lcfs.ranks.layers import join_ranks
from lcfs.ranks.ranks import ALONE, Ranks
from lcfs.runs import Run
from lcfs.training import sharding
from lcfs.training.loop import Diverged, train
from lcfs.training.sharding import How

NETS = ("s-fc", "s-conv", "s-local", "3-fc", "resnet18")
CONFIG = TrainConfig(
    "s-fc",
    base_channels=2,
    epochs=3,
    batch_size=256,
    dropout=0.1,
    checkpoint_seconds=0,
    validation=101,
    optimizer=OptimizerConfig("beta-lasso", lr=0.02, l1_conv=1e-3, l1_fc=1e-4, momentum=0.5, beta=5.0),
    augment=AugmentConfig(policy="trivial", crop=1, cutout=2),
)
SGD = OptimizerConfig("sgd", lr=0.02, momentum=0.9, weight_decay=5e-4)


# Two processes that wait for work


class Pair:
    """Two processes of one group; `pair(f, …)` is [f(Ranks(0, 2), …), f(Ranks(1, 2), …)], each run in its process."""

    def __init__(self, store: Path) -> None:
        context = get_context("spawn")
        pipes = [context.Pipe() for _ in range(2)]
        self._pipes = [ours for ours, _ in pipes]
        self._processes = [context.Process(target=_serve, args=(rank, store, pipes[rank][1])) for rank in range(2)]
        for process in self._processes:
            process.start()

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        for pipe in self._pipes:
            pipe.send((function, arguments))
        answers = [pipe.recv() for pipe in self._pipes]
        for answer in answers:
            if isinstance(answer, str) and answer.startswith("Traceback"):
                raise AssertionError(answer)
        return answers

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join()


def _serve(rank: int, store: Path, pipe: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    while (task := pipe.recv()) is not None:
        function, arguments = task
        try:
            pipe.send(function(Ranks(rank, 2), *arguments))
        except Exception:
            pipe.send(traceback.format_exc())
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    two = Pair(tmp_path_factory.mktemp("store") / "store")
    yield two
    two.close()


# Randomness


@pytest.mark.parametrize(
    "config", [AugmentConfig(), AugmentConfig("trivial", cutout=3), AugmentConfig("fa-cifar10", crop=0, flip=False)]
)
def test_parts_of_a_batch_are_augmented_as_the_whole(config: AugmentConfig) -> None:
    images = torch.randint(256, (64, 3, 16, 16), dtype=torch.uint8)
    whole, parts = _augmented(images, config, ALONE), [_augmented(images, config, Ranks(rank, 4)) for rank in range(4)]
    assert torch.equal(torch.cat(parts), whole)


def test_no_two_processes_draw_the_same() -> None:
    one = torch.randint(256, (1, 3, 16, 16), dtype=torch.uint8)
    images, config = one.expand(8, -1, -1, -1).contiguous(), AugmentConfig("trivial", crop=4, cutout=4)

    def images_in_common(of: tuple[Ranks, Ranks]) -> int:
        first, second = (_augmented(images, config, ranks, images[:4]) for ranks in of)
        return sum(torch.equal(a, b) for a in first for b in second)

    assert images_in_common((Ranks(0, 2), Ranks(1, 2))) == 0
    assert images_in_common((ALONE, ALONE)) == 4, "negative control: with equal seeds alone each draws the same"


def test_every_process_draws_as_much_as_one_alone() -> None:
    images, config = torch.zeros(8, 3, 16, 16, dtype=torch.uint8), AugmentConfig("trivial", cutout=3)
    states = []
    for ranks in (ALONE, Ranks(0, 2), Ranks(1, 2)):
        generator = torch.Generator().manual_seed(0)
        Augment(config, (0.5,) * 3, (0.2,) * 3, None, ranks)(ranks.own(images), generator)
        states.append(generator.get_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


def _augmented(images: Tensor, config: AugmentConfig, ranks: Ranks, own: Tensor | None = None) -> Tensor:
    augment = Augment(config, (0.5,) * 3, (0.2,) * 3, None, ranks)
    return augment(ranks.own(images) if own is None else own, torch.Generator().manual_seed(0))


def test_dropout_masks_are_those_of_the_whole_batch() -> None:
    x = torch.randn(8, 5)
    torch.manual_seed(1)
    whole = nn.Dropout(0.4)(x)
    parts = []
    for rank in range(2):
        layer = nn.Sequential(nn.Dropout(0.4))
        join_ranks(layer, Ranks(rank, 2))
        torch.manual_seed(1)
        parts.append(layer(Ranks(rank, 2).own(x)))
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(parts[0] == 0, parts[1] == 0)


# BatchNorm


def _normalize(ranks: Ranks, shape: tuple[int, ...], whole: bool) -> list[Any]:
    """Output and gradient of this process' rows; sums over processes of parameters' gradients; running statistics."""
    torch.manual_seed(0)
    x, upstream = torch.randn(2, *shape, dtype=torch.float64) * 3 + 50
    layer = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(shape[1], dtype=torch.float64)
    nn.init.uniform_(layer.weight, 0.5, 2)
    net = nn.Sequential(layer)
    if whole:
        join_ranks(net, ranks)
    rows = ranks.own(x).clone().requires_grad_()
    y = net(rows)
    (y.sin() * ranks.own(upstream)).sum().backward()
    gradients = [ranks.sum(parameter.grad) for parameter in layer.parameters() if parameter.grad is not None]
    return [y.detach(), rows.grad, *gradients, layer.running_mean, layer.running_var, layer.num_batches_tracked]


@pytest.mark.parametrize("shape", [(12, 5), (12, 5, 3, 4)])
def test_batchnorm_over_all_processes_is_that_of_the_whole_batch(pair: Pair, shape: tuple[int, ...]) -> None:
    expected = _normalize(ALONE, shape, whole=False)

    def difference(found: list[list[Tensor]]) -> float:
        merged = [torch.cat([a, b]) for a, b in zip(found[0][:2], found[1][:2], strict=True)] + found[0][2:]
        return max((a - b).abs().max().item() for a, b in zip(merged, expected, strict=True))

    # Statistics of about 50 and 2,500, gradients of up to 600; δ over a standard deviation of 3.
    assert difference(pair(_normalize, shape, True)) < 1e-10
    assert difference(pair(_normalize, shape, False)) > 1e-3, "negative control: each its own statistics"


# Steps


def _steps(ranks: Ranks, net: str, how: How | Literal["none"], method: str) -> dict[str, Tensor]:
    """Weights, in float64, after four steps on random images; `how` none leaves each process to itself."""
    torch.manual_seed(0)
    dropout = 0.0 if net == "resnet18" else 0.2
    model = build(net, base_channels=2, image=(1, 8, 8), dropout=dropout).double()
    if how != "none":
        sharding.spread(model, ranks, how)
    if method == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    else:
        optimizer = BetaLasso(parameter_groups(model, l1_conv=1e-3, l1_fc=1e-3), 0.05, l1=0.0, beta=5, momentum=0.5)
    step = model if how == "none" else sharding.replica(model, ranks)
    for _ in range(4):
        x, y = torch.randn(8, 1, 8, 8, dtype=torch.float64), torch.randint(10, (8,))
        optimizer.zero_grad()
        F.cross_entropy(step(ranks.own(x)), ranks.own(y)).backward()
        optimizer.step()
    return sharding.gathered(model.state_dict(), ranks)


@pytest.mark.parametrize("method", ["sgd", "beta-lasso"])
@pytest.mark.parametrize("how", ["ddp", "fsdp"])
@pytest.mark.parametrize("net", NETS)
def test_two_processes_take_the_steps_of_one(pair: Pair, net: str, how: How, method: str) -> None:
    expected, found = _steps(ALONE, net, how, method), pair(_steps, net, how, method)[0]
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-12, atol=1e-12)
    zeros = sum(int((tensor == 0).sum()) for name, tensor in expected.items() if tensor.ndim >= 2)
    assert (zeros > 0) == (method == "beta-lasso")


def _held(ranks: Ranks) -> tuple[int, int]:
    """Weights that this process holds in shards, and how many there are."""
    model = build("s-fc", base_channels=8, image=(1, 8, 8))
    sharding.spread(model, ranks, "fsdp")
    shards: list[Any] = list(model.parameters())
    return sum(shard.to_local().numel() for shard in shards), sum(shard.numel() for shard in shards)


def test_shards_are_halves(pair: Pair) -> None:
    assert [2 * held for held, _ in pair(_held)] == [every for _, every in pair(_held)]


def test_alone_nothing_is_done() -> None:
    x, model = torch.ones(3), nn.Dropout()
    assert ALONE.own(x) is ALONE.sum(x) is x
    sharding.spread(model, ALONE, "fsdp")
    assert sharding.replica(model, ALONE) is model
    assert type(model) is nn.Dropout


def test_without_exchange_processes_differ(pair: Pair) -> None:
    """Negative control of the test above."""
    expected, found = _steps(ALONE, "s-fc", "none", "sgd"), pair(_steps, "s-fc", "none", "sgd")
    assert (found[0]["fc1.weight"] - expected["fc1.weight"]).abs().max() > 1e-3
    assert (found[0]["fc1.weight"] - found[1]["fc1.weight"]).abs().max() > 1e-3


# Runs


def _train(ranks: Ranks, config: TrainConfig, path: Path, resume: bool = False) -> Any:
    """The result; its type and sentence if it is an error."""
    try:
        return train(config, path, resume=resume)
    except (InputError, Diverged) as error:
        return type(error).__name__, str(error)


def checkpoint(path: Path) -> dict[str, Any]:
    state = Run.open(path).load_checkpoint()
    assert state is not None
    return state


def layout(value: Any) -> Any:
    """Keys, types, shapes and numbers of a checkpoint, without the contents of its tensors."""
    if isinstance(value, dict):
        return {key: layout(inner) for key, inner in value.items()}
    return (value.dtype, value.shape, value.stride()) if isinstance(value, Tensor) else value


def assert_same_run(one: Path, two: Path, tolerance: float = 1e-6) -> None:
    first, second = checkpoint(one), checkpoint(two)
    assert layout(first) == layout(second)
    assert torch.equal(first["generator"], second["generator"])
    assert torch.equal(first["torch_rng"], second["torch_rng"])
    for name, tensor in first["model"].items():
        torch.testing.assert_close(second["model"][name], tensor, rtol=tolerance, atol=tolerance)
    for number, entries in first["optimizer"]["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                found = second["optimizer"]["state"][number][key]
                torch.testing.assert_close(found, value, rtol=10 * tolerance, atol=tolerance)
    for a, b in zip(Run.open(one).metrics(), Run.open(two).metrics(), strict=True):
        assert a.keys() == b.keys()
        assert {k: v for k, v in b.items() if not k.endswith(("time", "seconds"))} == pytest.approx(
            {k: v for k, v in a.items() if not k.endswith(("time", "seconds"))}, rel=10 * tolerance
        )


def stopped(path: Path, copy: Path) -> Path:
    """A copy of a run as it was before its last epoch was saved."""
    shutil.copytree(path, copy)
    (copy / "summary.json").unlink()
    Run.open(copy).newest_checkpoint().unlink()
    return copy


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_a_run_of_two_is_that_of_one_and_either_goes_on_with_the_other(pair: Pair, tmp_path: Path, how: How) -> None:
    config = replace(CONFIG, parallel=how)
    one, two = tmp_path / "one", tmp_path / "two"
    expected = train(config, one)
    first, second = pair(_train, config, two)
    assert first == second
    assert first.nonzeros == expected.nonzeros
    assert first.train_error == expected.train_error
    assert first.test_accuracy == expected.test_accuracy
    assert_same_run(one, two)

    train(config, stopped(two, tmp_path / "two-one"), resume=True)
    assert_same_run(one, tmp_path / "two-one")
    pair(_train, config, stopped(one, tmp_path / "one-two"), True)
    assert_same_run(one, tmp_path / "one-two")
    assert len(Run.open(tmp_path / "one-two").checkpoints()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [SGD, CONFIG.optimizer], ids=["sgd", "beta-lasso"])
@pytest.mark.parametrize("how", ["ddp", "fsdp"])
@pytest.mark.parametrize("net", NETS)
def test_runs_of_every_net(pair: Pair, tmp_path: Path, net: Architecture, how: How, optimizer: OptimizerConfig) -> None:
    dropout = 0.0 if net == "resnet18" else 0.1
    config = replace(CONFIG, architecture=net, epochs=1, batch_size=512, optimizer=optimizer, parallel=how)
    config = replace(config, dropout=dropout)
    train(config, tmp_path / "one")
    pair(_train, config, tmp_path / "two")
    # ResNet18 blows rounding up: float32 gradients of one process are 4e-6 of the largest entry off those in float64,
    # and weights changed by 1e-6 are 1e-2 apart after ten steps. The test of steps compares it in float64.
    assert_same_run(tmp_path / "one", tmp_path / "two", tolerance=1e-3 if net == "resnet18" else 1e-6)


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_bf16_too(pair: Pair, tmp_path: Path, how: How) -> None:
    """Roundings of 2⁻⁹ in every product; the mean loss of an epoch averages them."""
    config = replace(CONFIG, parallel=how, precision="bf16", optimizer=replace(CONFIG.optimizer, beta=0.0))
    train(config, tmp_path / "one")
    pair(_train, config, tmp_path / "two")
    assert layout(checkpoint(tmp_path / "one")) == layout(checkpoint(tmp_path / "two"))
    one, two = (Run.open(tmp_path / name).metrics()[-1]["train/loss"] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-3)


def _compacted_steps(ranks: Ranks) -> tuple[dict[str, Tensor], int]:
    """The whole net, in float64, after three steps without its dead units, of which it has five; how many were left."""
    torch.manual_seed(0)
    model = build("s-fc", base_channels=2, image=(1, 8, 8), dropout=0.2).double()
    with torch.no_grad():
        model.get_parameter("conv1.weight")[3:8] = 0
        model.get_parameter("norm1.bias")[3:8] = -1
    sharding.spread(model, ranks, "ddp")
    optimizer = BetaLasso(parameter_groups(model, l1_conv=1e-3, l1_fc=1e-3), 0.05, l1=0.0, beta=5)
    small = compact(model, optimizer)
    assert small.optimizer is not None
    step = sharding.replica(small.model, ranks)
    for _ in range(3):
        x, y = torch.randn(8, 1, 8, 8, dtype=torch.float64), torch.randint(10, (8,))
        small.optimizer.zero_grad()
        F.cross_entropy(step(ranks.own(x)), ranks.own(y)).backward()
        small.optimizer.step()
    return small.expand([0.05] * 3).state_dict(), small.units()["conv1"]


def test_two_processes_take_the_steps_of_one_without_dead_units(pair: Pair) -> None:
    (expected, units), ((found, _), _) = _compacted_steps(ALONE), pair(_compacted_steps)
    assert units == 32 - 5
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"compact": True, "optimizer": OptimizerConfig("beta-lasso", l1_conv=2e-2, l1_fc=1e-4, beta=10.0)},
        {"prune": PruneConfig(rounds=2, fraction=0.5)},
    ],
    ids=["compact", "prune"],
)
def test_nets_that_shrink(pair: Pair, tmp_path: Path, change: dict[str, Any]) -> None:
    """What is removed hangs on every weight, so here are counts only; the weights are compared above, in float64."""
    config = replace(CONFIG, epochs=2, **change)
    train(config, tmp_path / "one")
    pair(_train, config, tmp_path / "two")
    assert layout(checkpoint(tmp_path / "one")) == layout(checkpoint(tmp_path / "two"))
    one, two = (
        [{k: v for k, v in record.items() if k.startswith(("units", "sparsity", "round"))} for record in run.metrics()]
        for run in (Run.open(tmp_path / "one"), Run.open(tmp_path / "two"))
    )
    assert one == two
    assert one[-1] != one[0]


def test_what_one_refuses_all_refuse(pair: Pair, tmp_path: Path) -> None:
    odd = pair(_train, replace(CONFIG, batch_size=255), tmp_path / "odd")
    assert odd[0] == odd[1]
    assert "255 images cannot be shared out evenly among 2 ranks" in odd[0][1]
    assert not (tmp_path / "odd").exists()

    (tmp_path / "thesis.tex").write_text("years of work")  # only the first process looks
    assert {kind for kind, _ in pair(_train, CONFIG, tmp_path)} == {"InputError"}

    wild = replace(CONFIG, optimizer=OptimizerConfig("sgd", lr=1e30))
    assert [kind for kind, _ in pair(_train, wild, tmp_path / "wild")] == ["Diverged", "Diverged"]
    assert (Run.open(tmp_path / "wild").summary() or {})["status"] == "diverged"

    with pytest.raises(InputError, match="set parallel to ddp"):
        replace(CONFIG, parallel="fsdp", compact=True)


# The command


def _torchrun(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *start, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_torchrun(tmp_path: Path) -> None:
    options = ["--epochs", "2", "--base-channels", "2", "--batch-size", "256", "--no-track"]
    done = _torchrun("--no-python", "--", "lcfs", "train", "s-fc-beta-lasso", "--run", str(tmp_path / "run"), *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2/2") == 1
    assert done.stdout.count("test accuracy") == 1
    assert "arning" not in done.stderr
    run = Run.open(tmp_path / "run")
    assert (run.summary() or {})["status"] == "finished"
    assert [record["epoch"] for record in run.metrics()] == [1, 2]


@pytest.mark.parametrize(
    ("command", "words"),
    [("doctor", "torchrun is for lcfs train alone"), ("train s-fc-sgd", "start them with torchrun")],
)
def test_an_environment_of_many_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, words: str
) -> None:
    """WORLD_SIZE left behind, or torchrun where it makes no sense."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(SystemExit) as exit_:
        cli.main(command.split())
    assert exit_.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["s-fc-sgd", "--epochz", "1"], 2, "perhaps you meant --epochs"),
        (["s-fc-sgd", "--batch-size", "5"], 2, "cannot be shared out evenly"),
        (["--resume", "/nowhere"], 2, "no config.json"),
        (["s-fc-sgd", "--optimizer.lr", "1e30", "--no-track"], 1, "the loss is not finite"),
    ],
)
def test_torchrun_ends_all_with_one_sentence(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    if "--optimizer.lr" in arguments:
        arguments = [*arguments, "--run", str(tmp_path / "run")]
    done = _torchrun("-m", "--", "lcfs.cli", "train", *arguments)
    assert done.returncode == 1, "torchrun's own code for a process that failed"
    assert f"exitcode: {code}" in done.stderr
    assert done.stderr.count(words) == 1
    assert "Error:" not in done.stderr.replace("ChildFailedError:", "")
