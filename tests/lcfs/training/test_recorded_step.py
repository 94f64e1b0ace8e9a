"""Reference: a recorded step trains as an ordinary one, bit for bit; negative controls. On a GPU a real CUDA graph."""

from typing import Any

import pytest
import torch
from recording import NotCapturable, Recording, capture
from torch import Tensor

import lcfs
from lcfs import data
from lcfs.augmentation.augment import Augment
from lcfs.augmentation.policy import Policy
from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig
from lcfs.training.optimizers import make_optimizer
from lcfs.training.recorded_step import WARM_UP, GraphStep, cuda_graph
from lcfs.training.step import Step

BETA_LASSO = OptimizerConfig("beta-lasso", l1_conv=1e-3, l1_fc=1e-4, beta=5.0)
MOMENTUM = OptimizerConfig("beta-lasso", l1_conv=1e-3, l1_fc=1e-4, beta=5.0, momentum=0.5)
SGD = OptimizerConfig("sgd", momentum=0.9, weight_decay=5e-4)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def make(kind: type[Step], config: TrainConfig, *, device: str = "cpu", **arguments: Any) -> Step:
    torch.manual_seed(0)
    dataset = data.load("digits")
    model = lcfs.build(config.architecture, base_channels=config.base_channels, image=(1, 8, 8), dropout=config.dropout)
    optimizer = make_optimizer(model.to(device), config)
    for group in optimizer.param_groups:
        group["fused"] = isinstance(optimizer, torch.optim.SGD) or None  # reads its learning rate where it is
    augmentation = Augment(config.augment, dataset.mean, dataset.std)
    generator = torch.Generator(device).manual_seed(1)
    return kind(model, optimizer, augmentation, dataset.train.to(device), generator, **{"bf16": False, **arguments})


def rate(step: int) -> float:
    """A float32, as a device holds it."""
    return float(torch.tensor(0.1 / step))


def trained(step: Step, sizes: list[int]) -> list[Tensor]:
    """All that a run consists of, after one step for each batch size."""
    device = next(step.model.parameters()).device
    torch.manual_seed(2)
    step.begin()
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(3)).to(device)
    for i, size in enumerate(sizes):
        step(order[i * 16 : i * 16 + size], rate(i + 1))
    totals = step.totals()
    state = [v for s in step.optimizer.state.values() for v in s.values() if isinstance(v, Tensor)]
    measured = torch.tensor([totals.loss, totals.accuracy], dtype=torch.float64)
    return [*step.model.state_dict().values(), *state, measured, step._generator.get_state(), torch.rand(4)]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


PRECISIONS: tuple[dict[str, bool], ...] = ({}, {"bf16": True}, {"bf16": True, "copies": True})
CASES = [
    *((net, MOMENTUM, PRECISIONS[-1]) for net in ("s-conv", "s-local", "d-fc", "resnet18")),
    *(("s-fc", optimizer, precision) for optimizer in (BETA_LASSO, MOMENTUM, SGD) for precision in PRECISIONS),
]


@pytest.mark.parametrize(("net", "optimizer", "precision"), CASES)
def test_a_recorded_step_trains_as_an_ordinary_one(
    net: Any, optimizer: OptimizerConfig, precision: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    augment = AugmentConfig(policy="trivial", crop=1, cutout=2)
    dropout = 0.0 if net == "resnet18" else 0.1
    config = TrainConfig(net, base_channels=2, dropout=dropout, optimizer=optimizer, augment=augment)
    sizes = [16] * (WARM_UP + 4)
    expected = trained(make(Step, config, bf16=bool(precision)), sizes)
    monkeypatch.setattr(Policy, "grouped", Policy.everywhere)
    assert_same(trained(make(GraphStep, config, capture=capture, **precision), sizes), expected)


def test_copies_change_no_bit_of_ordinary_steps_and_follow_the_weights() -> None:
    expected = trained(make(Step, CONFIG, bf16=True), [16] * 4)
    step = make(Step, CONFIG, bf16=True, copies=True)
    with torch.no_grad():
        step.model.conv1.weight.add_(1)  # as if they had been restored
        step.begin()
        step.model.conv1.weight.sub_(1)
    assert not torch.equal(trained(step, [16] * 4)[0], expected[0])  # adding and subtracting has rounded them
    assert_same(trained(make(Step, CONFIG, bf16=True, copies=True), [16] * 4), expected)


CONFIG = TrainConfig("s-fc", base_channels=1, optimizer=MOMENTUM, augment=AugmentConfig(crop=1))


def test_a_batch_of_another_size_is_an_ordinary_step() -> None:
    sizes = [16] * (WARM_UP + 2) + [9] + [16] * 3
    assert_same(trained(make(GraphStep, CONFIG, capture=capture), sizes), trained(make(Step, CONFIG), sizes))


def test_counts_of_non_zeros_and_learning_rate_are_those_of_the_last_step() -> None:
    step = make(GraphStep, CONFIG, capture=capture)
    trained(step, [16] * (WARM_UP + 3))
    assert isinstance(step.optimizer, lcfs.BetaLasso)
    assert {count.item() for count in step.optimizer.nonzeros().values()} == {
        parameter.count_nonzero().item() for parameter in step.model.parameters()
    }
    assert step.optimizer.param_groups[0]["lr"] == rate(WARM_UP + 3)


def test_an_epoch_begins_with_nothing_measured() -> None:
    step = make(GraphStep, CONFIG, capture=capture)
    trained(step, [16] * (WARM_UP + 3))
    step.begin()
    assert (step.totals().loss, step.totals().accuracy) == (0, 0)


def test_a_learning_rate_read_by_the_host_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a recording holds the number that it was made with."""
    expected = trained(make(Step, CONFIG), [16] * (WARM_UP + 3))
    monkeypatch.setattr(GraphStep, "_recorded", lambda self: self._body(self._batch))
    found = trained(make(GraphStep, CONFIG, capture=capture), [16] * (WARM_UP + 3))
    assert not all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: (x > 0).nonzero(),
        lambda x: x.new_tensor([1.0]),
        lambda x: x if x.sum() > 0 else -x,
    ],
)
def test_what_makes_the_host_wait_would_be_noticed(work: Any) -> None:
    """Negative control."""
    x = torch.randn(5)
    with pytest.raises(NotCapturable), Recording():
        work(x)


def test_choosing_images_by_operation_would_be_noticed() -> None:
    """Negative control: the form of the policy that a CPU uses is none for a graph."""
    config = TrainConfig("s-fc", base_channels=1, augment=AugmentConfig(policy="trivial"))
    with pytest.raises(NotCapturable):
        trained(make(GraphStep, config, capture=capture), [16] * (WARM_UP + 1))


@CUDA
@pytest.mark.parametrize("optimizer", [BETA_LASSO, MOMENTUM, SGD], ids=["beta-lasso", "momentum", "sgd"])
@pytest.mark.parametrize("net", ["s-conv", "s-local", "s-fc"])
def test_a_cuda_graph_trains_as_ordinary_steps_do(net: Any, optimizer: OptimizerConfig) -> None:
    augment = AugmentConfig(policy="trivial", crop=1, cutout=2)
    config = TrainConfig(net, base_channels=2, dropout=0.1, optimizer=optimizer, augment=augment)
    sizes = [16] * (WARM_UP + 4)
    expected = trained(make(Step, config, bf16=True, device="cuda"), sizes)
    found = trained(make(GraphStep, config, bf16=True, copies=True, device="cuda", capture=cuda_graph), sizes)
    assert_same(found, expected)
