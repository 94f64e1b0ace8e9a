"""Everything that wants a GPU, in one go: tests, the speed of update and step, then the paper's nets at full width.

Command: python scripts/gpu.py RUNS [--hours H] [--price-per-hour P] [--try]; needs LCFS_DATA or a network for CIFAR-10.
What has a record is skipped and a training that was cut off goes on from its last checkpoint, so the same command again
continues. A part that fails is reported and stops no other; each is a process of its own. Where the tests of recorded
steps (CUDA graphs) fail, the trainings use ordinary ones, which are slower and give the same nets.

Time on an H100, expected before any run there: two benchmarks, 5 minutes; trainings of 400 epochs, 2 to 4 minutes each;
4000 epochs, 20 minutes. A training starts only if its time, judged by a finished one of the same net, is left.
Expected accuracies are the paper's (Tables 1 and 2; for β-LASSO at 4000 epochs). Records go to benchmarks/records and
studies/records/gpu.
"""

import argparse
import dataclasses
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lcfs.config import AugmentConfig, OptimizerConfig, TrainConfig  # noqa: E402
from lcfs.errors import InputError  # noqa: E402
from lcfs.runs import Run  # noqa: E402
from studies.engine.records import Record, record_of, write  # noqa: E402
from studies.engine.runner import cell_name  # noqa: E402
from studies.engine.scales import SGD  # noqa: E402

BETA_LASSO = OptimizerConfig("beta-lasso", l1_conv=2e-5, l1_fc=5e-6, beta=50.0)
AUGMENT = AugmentConfig(policy="fa-cifar10", crop=4, flip=True, cutout=16)


@dataclass(frozen=True)
class Training:
    """A run, and the test accuracy in percent that the paper reports for it, if it does."""

    title: str
    config: TrainConfig
    paper: float | None = None


@dataclass(frozen=True)
class Plan:
    """What to do and where the results go; `trial` is the tiny one on a CPU."""

    runs: Path
    benchmarks: Path
    records: Path
    trainings: tuple[Training, ...]
    deadline: float
    price_per_hour: float | None
    trial: bool


class OutOfTime(Exception):
    """The hours are over; the run has a checkpoint."""


def trainings() -> tuple[Training, ...]:
    """The most wanted first."""

    def config(net: Any, optimizer: OptimizerConfig, epochs: int) -> TrainConfig:
        return TrainConfig(
            net,
            base_channels=150,
            data="cifar10",
            epochs=epochs,
            checkpoint_seconds=120,
            optimizer=optimizer,
            augment=AUGMENT,
        )

    one_sided = dataclasses.replace(BETA_LASSO, one_sided=True)
    return (
        Training("S-FC, β-LASSO", config("s-fc", BETA_LASSO, 400)),
        Training("S-FC, SGD", config("s-fc", SGD, 400), 72.77),
        Training("S-CONV, SGD", config("s-conv", SGD, 400), 84.14),
        Training("S-LOCAL, SGD", config("s-local", SGD, 400), 81.52),
        Training("S-FC, β-LASSO, one-sided", config("s-fc", one_sided, 100)),
        Training("S-FC, β-LASSO", config("s-fc", BETA_LASSO, 4000), 85.19),
    )


def tiny(training: Training) -> Training:
    """The same at a size that a CPU trains in seconds."""
    augment = dataclasses.replace(training.config.augment, crop=1, cutout=2)
    config = dataclasses.replace(
        training.config,
        base_channels=1,
        data="digits",
        epochs=1 + training.config.epochs // 400,
        batch_size=256,
        device="cpu",
        augment=augment,
    )
    return dataclasses.replace(training, config=config)


def in_own_process(work: Callable[..., None], *arguments: Any) -> bool:
    """Whether it succeeded: an error on a GPU can leave its process without the use of it."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    return process.exitcode == 0


def update_benchmark(path: Path, trial: bool) -> None:
    """The GPU's part of benchmarks/update.py."""
    import torch

    from benchmarks import update

    if trial:
        update.SIDE = 64
    results = update.on_cpu(1, 1) if trial else update.on_gpu(75)
    results = [result | {"torch": torch.__version__} for result in results]
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(*(json.dumps(result, ensure_ascii=False) for result in results), sep="\n", flush=True)


def tests_pass(name: str) -> bool:
    """Whether the tests of a file of tests/lcfs pass here; without conftest.py, which wants more than pytest."""
    command = [sys.executable, "-m", "pytest", "-q", "--noconftest", f"tests/lcfs/{name}.py"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def step_benchmark(path: Path, trial: bool) -> bool:
    """benchmarks/gpu_step.py; whether it succeeded."""
    partial = path.with_suffix(".partial.json")
    options = ["--cpu", "--rounds", "1", "--nets", "s-conv"] if trial else []
    command = [sys.executable, "-m", "benchmarks.gpu_step", "--record", str(partial), *options]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        return False
    partial.replace(path)
    return True


def train_one(config: TrainConfig, path: Path, deadline: float, graphs: bool) -> None:
    """Train in this process, with ordinary steps where recorded ones do not work."""
    from lcfs.training import epoch, loop
    from lcfs.training.step import Step

    if not graphs:
        epoch.GraphStep = Step  # pyrefly: ignore

    def show(progress: loop.Progress) -> None:
        if progress.epoch % max(progress.epochs // 20, 1) == 0:
            print(path.name, progress, flush=True)
        if time.time() > deadline and progress.epoch < progress.epochs:
            raise OutOfTime(f"{path.name}: the hours are over in epoch {progress.epoch}; the same command continues")

    try:
        loop.train(config, path, resume=(path / "config.json").exists(), on_epoch=show)
    except OutOfTime as stop:
        print(stop, flush=True)


def priced(record: Record, price_per_hour: float | None) -> Record:
    """With the seconds of its epochs, and what they cost."""
    seconds = sum(record.epochs.get("train/seconds", []))
    found = {"final/seconds": round(seconds, 1)}
    if price_per_hour is not None:
        found |= {"final/cost": round(seconds / 3600 * price_per_hour, 4), "final/price_per_hour": price_per_hour}
    return dataclasses.replace(record, metrics=record.metrics | found)


def fits(training: Training, done: list[tuple[Training, Record]], deadline: float) -> bool:
    """Whether a training's time is left, judged by finished ones of the same net."""
    paces = [
        r.metrics["final/seconds"] / t.config.epochs
        for t, r in done
        if t.config.architecture == training.config.architecture and r.status == "finished"
    ]
    needed = min(paces, default=0.0) * training.config.epochs
    return time.time() + needed < deadline


def run(plan: Plan) -> list[str]:
    """Do what is not done yet; one line for each part that is still open."""
    others = (
        () if plan.trial else ("augmentation/test_policy", "optim/test_update")
    )  # on a CPU, `make test` has run them all
    open_parts = [f"{name} failed" for name in others if not tests_pass(name)]
    graphs = plan.trial or tests_pass("training/test_recorded_step")
    if not graphs:
        open_parts.append("test_recorded_step failed; trainings used ordinary steps")
    for folder in (plan.runs, plan.benchmarks, plan.records):
        folder.mkdir(parents=True, exist_ok=True)
    update, step = plan.benchmarks / "gpu_update.json", plan.benchmarks / "gpu_step.json"
    if not update.exists() and not in_own_process(update_benchmark, update, plan.trial):
        open_parts.append("the benchmark of the update failed")
    if not step.exists() and not step_benchmark(step, plan.trial):
        open_parts.append("the benchmark of the step failed")
    done: list[tuple[Training, Record]] = []
    for training in plan.trainings:
        name = f"{training.title}, {training.config.epochs} epochs"
        path = plan.runs / cell_name(training.config)
        kept = plan.records / f"{path.name}.json"
        if not kept.exists():
            if not fits(training, done, plan.deadline):
                open_parts.append(f"{name}: no time left")
                continue
            if not _ended(path):
                in_own_process(train_one, training.config, path, plan.deadline, graphs)
            if not _ended(path):
                open_parts.append(f"{name}: not finished")
                continue
            write(priced(record_of(Run.open(path)), plan.price_per_hour), plan.records)
        done.append((training, Record(**json.loads(kept.read_text()))))
    for training, record in done:
        print(line(training, record))
    return open_parts


def line(training: Training, record: Record) -> str:
    """What a run ended with, beside the paper."""
    metrics = record.metrics
    counts = (f"{key.split('/')[-1]} {value:,}" for key, value in metrics.items() if key.startswith("final/nonzeros/"))
    accuracy = f"{100 * metrics['final/test_accuracy']:.2f} %" if record.status == "finished" else record.status
    paper = "" if training.paper is None else f" (paper {training.paper:.2f})"
    cost = f", cost {metrics['final/cost']:.2f}" if "final/cost" in metrics else ""
    where = record.environment.get("gpu", "")
    return (
        f"{training.title}, {training.config.epochs} epochs: {accuracy}{paper}; {', '.join(counts)} non-zeros; "
        f"{metrics['final/seconds']:,.0f} s{cost}; {where}"
    )


def _ended(path: Path) -> bool:
    return (path / "config.json").exists() and Run.open(path).summary() is not None


def main() -> None:
    """Exit code 1 if a part is still open."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of the run directories")
    parser.add_argument("--hours", type=float, default=2.0, help="start or continue nothing after this time")
    parser.add_argument("--price-per-hour", type=float, help="of the machine, in any currency")
    parser.add_argument("--try", dest="trial", action="store_true", help="everything on the CPU at a tiny size")
    arguments = parser.parse_args()
    if not arguments.trial:
        import torch

        from lcfs import data

        if not torch.cuda.is_available():
            parser.error("torch sees no GPU; use --try to try the script without one")
        try:
            data.fetch("cifar10")
        except InputError as error:
            parser.error(str(error))
    trial = arguments.trial
    plan = Plan(
        runs=arguments.runs,
        benchmarks=arguments.runs / "records" if trial else ROOT / "benchmarks" / "records",
        records=arguments.runs / "records" if trial else ROOT / "studies" / "records" / "gpu",
        trainings=tuple(map(tiny, trainings())) if trial else trainings(),
        deadline=time.time() + 3600 * arguments.hours,
        price_per_hour=arguments.price_per_hour,
        trial=trial,
    )
    open_parts = run(plan)
    print(*open_parts, sep="\n")
    sys.exit(bool(open_parts))


if __name__ == "__main__":
    main()
