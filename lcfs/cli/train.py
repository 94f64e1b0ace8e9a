"""lcfs train."""

import contextlib
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from lcfs import config
from lcfs.cli.arguments import parse
from lcfs.errors import InputError, nearest
from lcfs.ranks import torchrun


@dataclass(frozen=True)
class TrainOptions:
    """Train a net."""

    config: Annotated[config.TrainConfig, tyro.conf.arg(name="")]
    """The run."""
    run: Path | None = None
    """The run directory; by default runs/PRESET-DATA-aα-sSEED-TIME."""
    track: bool = True
    """Mirror the run into MLflow."""


_PRESETS = """
A preset is NET-METHOD, as in lcfs train s-fc-beta-lasso --data cifar10

nets
  s-conv, s-local, s-fc   one convolution and two dense layers; the same units
                          locally connected without sharing; fully connected
  d-conv, d-local, d-fc   the same with eight convolutions
  3-fc                    three dense layers, the same width throughout
  resnet18                for images

methods
  sgd                     momentum and weight decay
  l1                      SGD with an L1 penalty, which makes no exact zeros
  beta-lasso              the same with a threshold, which does

Sizes, epochs and regularization fit the data set that --data names; lcfs train
PRESET --help lists all fields with their values."""


def train(arguments: list[str]) -> int:
    """Train a net: lcfs train PRESET [--field value ...], or lcfs train --resume RUN."""
    presets = config.presets(_data(arguments))
    if arguments[:1] == ["--resume"]:
        if len(arguments) != 2:
            raise InputError(
                "lcfs train --resume takes one run directory and nothing else: its config.json says the rest"
            )
        return _run_training(None, Path(arguments[1]))
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: lcfs train PRESET [--field value ...] | lcfs train --resume RUN")
        print("       torchrun --nproc-per-node N --no-python -- lcfs train …   (one net)")
        print(_PRESETS)
        return 0
    name = arguments[0]
    if name not in presets:
        raise InputError(f"there is no preset {name!r}{nearest(name, presets)}; lcfs train --help lists them")
    options = parse(TrainOptions, arguments[1:], f"lcfs train {name}", default=TrainOptions(presets[name]))
    chosen = options.config
    label = f"{name}-{chosen.data}-a{chosen.base_channels}-s{chosen.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    return _run_training(chosen, options.run or Path("runs") / label, options.track)


def _data(arguments: list[str]) -> str:
    """The data set that is asked for: a preset's other values depend on it."""
    given = re.findall(r"--data[= ](\S+)", " ".join(arguments))
    return given[-1] if given else "signals"


def _run_training(chosen: config.TrainConfig | None, path: Path, track: bool = True) -> int:
    from lcfs.ranks.ranks import joined

    with joined() as ranks:
        return _run_together(chosen, path, track, ranks)


def _run_together(chosen: config.TrainConfig | None, path: Path, track: bool, ranks: Any) -> int:
    from lcfs import tracking
    from lcfs.cli import reports
    from lcfs.cli.progress import ProgressLine
    from lcfs.runs import Run
    from lcfs.training.loop import Diverged, train

    resume = chosen is None
    if resume:
        with ranks.together():
            run = Run.open(path)
        if (run.summary() or {}).get("status") == "finished":
            print(f"{path} is finished already")
            return 0
        chosen = run.config()
    mirror = None

    def after_epoch(progress: Any) -> None:
        nonlocal mirror
        if mirror is None and track and tracking.available():
            uri = tracking.default_uri(path.parent)
            with contextlib.suppress(Exception):  # tracking is never fatal to training; lcfs sync replays
                tracking.prepare(uri)
            mirror = tracking.Mirror(path, uri, experiment=f"train-{chosen.data}")
        if mirror:
            mirror.update()
        line.epoch(progress)

    with ProgressLine(chosen) as line:
        try:
            result = train(chosen, path, resume=resume, on_start=line.start, on_step=line.step, on_epoch=after_epoch)
        except Diverged as error:
            line.close()
            torchrun.let_first_speak()
            print(f"lcfs: {error}", file=sys.stderr)
            if mirror:
                mirror.close()
            return 1
    reports.print_result(path, result)
    if mirror:
        mirror.close()
        if mirror.failed:
            print(f"MLflow did not take the run ({mirror.failed}); lcfs sync {path.parent} sends it later")
        else:
            print(f"compare runs in MLflow: lcfs ui {path.parent}")
    return 0
