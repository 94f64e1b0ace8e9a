"""The command line. Heavy imports happen inside the commands, so that --help is instant.

Exit codes: 0 done, 1 the run or check failed, 2 bad input (one sentence on standard error).
"""

import contextlib
import dataclasses
import difflib
import io
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import tyro

from lcfs import config
from lcfs.errors import InputError

_Positional = tyro.conf.Positional


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        raise SystemExit(_dispatch(arguments))
    except InputError as error:
        print(f"lcfs: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        print("lcfs: interrupted; continue a run with lcfs train --resume RUN", file=sys.stderr)
        raise SystemExit(130) from None


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from lcfs import __version__

        print(f"lcfs {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in _COMMANDS:
        raise InputError(f"there is no command {name!r}{_nearest(name, _COMMANDS)}; lcfs --help lists them")
    return _COMMANDS[name](rest) or 0


def _overview() -> str:
    lines = ["usage: lcfs COMMAND [options]   (lcfs COMMAND --help)", ""]
    width = max(map(len, _COMMANDS))
    lines += [f"  {name:<{width}}  {function.__doc__.splitlines()[0]}" for name, function in _COMMANDS.items()]
    return "\n".join(lines)


def _train(arguments: list[str]) -> int:
    """Train a net: lcfs train PRESET [--field value ...], or lcfs train --resume RUN."""
    presets = config.presets()
    if arguments[:1] == ["--resume"]:
        if len(arguments) != 2:
            raise InputError(
                "lcfs train --resume takes one run directory and nothing else: its config.json says the rest"
            )
        return _run_training(None, Path(arguments[1]))
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: lcfs train PRESET [--field value ...] | lcfs train --resume RUN\n\npresets:")
        print("\n".join(f"  {name}" for name in presets))
        print("\nlcfs train PRESET --help lists the fields and their values in that preset.")
        return 0
    name = arguments[0]
    if name not in presets:
        raise InputError(f"there is no preset {name!r}{_nearest(name, presets)}; lcfs train --help lists them")

    def options(
        run: Path | None = None,
        track: bool = True,
        config: tyro.conf.OmitArgPrefixes[config.TrainConfig] = presets[name],
    ) -> tuple[Path | None, bool, config.TrainConfig]:
        """Train a net.

        Args:
            run: The run directory; by default runs/PRESET-DATA-aα-sSEED-TIME.
            track: Mirror the run into MLflow.
            config: The run.
        """
        return run, track, config

    run, track, chosen = _parse(options, arguments[1:], f"lcfs train {name}")
    label = f"{name}-{chosen.data}-a{chosen.base_channels}-s{chosen.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    return _run_training(chosen, run or Path("runs") / label, track)


def _run_training(chosen: config.TrainConfig | None, path: Path, track: bool = True) -> int:
    from lcfs import console, tracking
    from lcfs.runs import Run
    from lcfs.training import Diverged, train

    resume = chosen is None
    if resume:
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
        line.show(progress)

    with console.ProgressLine() as line:
        try:
            result = train(chosen, path, resume=resume, on_epoch=after_epoch)
        except Diverged as error:
            line.close()
            print(f"lcfs: {error}", file=sys.stderr)
            if mirror:
                mirror.close()
            return 1
    console.print_result(path, chosen, result)
    if mirror:
        mirror.close()
        if mirror.failed:
            print(f"MLflow did not take the run ({mirror.failed}); lcfs sync {path.parent} sends it later")
        else:
            print(f"compare runs in MLflow: lcfs ui {path.parent}")
    return 0


def _bound(arguments: list[str]) -> int:
    """Description lengths and generalization bounds of any checkpoint."""

    def options(
        file: _Positional[Path],
        errors: float,
        samples: int,
        delta: float = 0.05,
        classes: int | None = None,
        json: bool = False,
    ) -> tuple:
        """Description lengths and bounds of a checkpoint, without its architecture.

        Args:
            file: A state dict (.pt, .pth, .ckpt, .safetensors) or a run directory.
            errors: Training error in [0, 1], without augmentation, in evaluation mode.
            samples: Number of training examples.
            delta: Probability with which a bound may fail.
            classes: A bound no better than guessing among them is marked vacuous.
            json: Print one JSON object.
        """
        return file, errors, samples, delta, classes, json

    file, errors, samples, delta, classes, as_json = _parse(options, arguments, "lcfs bound")
    if not 0 <= errors <= 1:
        raise InputError(
            f"--errors is the training error as a fraction in [0, 1], got {errors:g}; divide a count by --samples"
        )
    if samples < 1:
        raise InputError(f"--samples must be at least 1, got {samples}")
    if not 0 < delta < 1:
        raise InputError(f"--delta must lie in (0, 1), got {delta:g}")
    if classes is not None and classes < 2:
        raise InputError(f"--classes must be at least 2, got {classes}")
    from lcfs import console
    from lcfs.analysis import summarize_state
    from lcfs.descriptions import report

    summary = summarize_state(_state_of(file))
    found = report(summary, train_error=errors, samples=samples, delta=delta, classes=classes)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        console.print_report(found)
    return 0


def _inspect(arguments: list[str]) -> int:
    """What a checkpoint holds: tensors, non-zeros, distinct values."""

    def options(file: _Positional[Path], json: bool = False) -> tuple[Path, bool]:
        """What a checkpoint holds.

        Args:
            file: A state dict (.pt, .pth, .ckpt, .safetensors) or a run directory.
            json: Print one JSON object.
        """
        return file, json

    file, as_json = _parse(options, arguments, "lcfs inspect")
    from lcfs import console
    from lcfs.analysis import summarize_state

    summary = summarize_state(_state_of(file))
    if as_json:
        print(json.dumps(dataclasses.asdict(summary), indent=1, default=str))
    else:
        console.print_state(file, summary)
    return 0


def _state_of(path: Path) -> dict[str, Any]:
    """The state dict of a file, or of the newest checkpoint of a run directory."""
    from lcfs.checkpoints import load_state
    from lcfs.runs import Run

    if path.is_dir():
        checkpoints = Run.open(path).checkpoints()
        if not checkpoints:
            raise InputError(f"{path} has no checkpoint yet; continue it with lcfs train --resume {path}")
        path = checkpoints[-1]
    return load_state(path)


def _data(arguments: list[str]) -> int:
    """Fetch a data set (checksummed) or take it from a folder, and verify it."""

    def options(name: _Positional[str], folder: Path | None = None, source: Path | None = None) -> tuple:
        """Fetch and verify a data set.

        Args:
            name: digits, cifar10, cifar100 or svhn.
            folder: Where to put it; by default $LCFS_DATA, then the user's cache.
            source: A local folder or archive to take it from instead of the network.
        """
        return name, folder, source

    name, folder, source = _parse(options, arguments, "lcfs data")
    from lcfs import data

    print(f"{name}: {data.fetch(name, folder=folder, source=source)}")
    dataset = data.load(name, folder=folder, download=False)
    sizes = f"{len(dataset.train)} training and {len(dataset.test)} test images"
    print(f"{sizes} of {dataset.image_shape}, {dataset.classes} classes")
    return 0


def _sync(arguments: list[str]) -> int:
    """Replay run directories into MLflow; what is there already is not sent again."""

    def options(runs: _Positional[Path] = Path("runs")) -> Path:
        """Replay run directories into MLflow (MLFLOW_TRACKING_URI, or sqlite in the folder).

        Args:
            runs: Folder of run directories.
        """
        return runs

    runs = _parse(options, arguments, "lcfs sync")
    tracking = _tracking(runs)
    failed = 0
    for result in tracking.sync(runs, tracking.default_uri(runs)):
        print(result)
        failed += bool(getattr(result, "error", None))
    return int(failed > 0)


def _ui(arguments: list[str]) -> int:
    """Open the comparison of runs in MLflow."""

    def options(runs: _Positional[Path] = Path("runs"), port: int = 5000) -> tuple[Path, int]:
        """Serve the MLflow UI on this machine.

        Args:
            runs: Folder of run directories.
            port: Port on 127.0.0.1.
        """
        return runs, port

    runs, port = _parse(options, arguments, "lcfs ui")
    tracking = _tracking(runs)
    print(f"http://127.0.0.1:{port}", flush=True)
    command = tracking.ui_command(tracking.default_uri(runs), port)
    os.execvp(command[0], command)


def _tracking(runs: Path) -> Any:
    from lcfs import tracking

    if not runs.is_dir():
        raise InputError(f"{runs} is not a folder of runs; name the one that lcfs train wrote to")
    if not tracking.available():
        raise InputError("MLflow is not installed here; install it with: pip install 'lcfs[mlflow]'")
    return tracking


def _doctor(arguments: list[str]) -> int:
    """Print versions, devices and folders, for bug reports."""
    _parse(lambda: None, arguments, "lcfs doctor")
    from importlib import metadata

    import torch

    for package in ("lcfs", "torch", "numpy", "scipy", "safetensors", "mlflow", "triton"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            print(f"{package:<12} {metadata.version(package)}")
    print(f"{'python':<12} {sys.version.split()[0]}")
    print(f"{'cpus':<12} {os.cpu_count()} ({torch.get_num_threads()} threads)")
    print(f"{'gpu':<12} {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
    print(f"{'LCFS_DATA':<12} {os.environ.get('LCFS_DATA', 'not set')}")
    return 0


def _demo(arguments: list[str]) -> int:
    """The main job on data that is already there, in under two minutes on two cores."""

    def options(folder: Path = Path("demo"), seeds: int = 3, epochs: int = 40) -> tuple[Path, int, int]:
        """Train S-CONV, S-LOCAL, 3-FC and S-FC by SGD, L1 and β-LASSO on digits.

        Args:
            folder: Where the runs, the table and the pictures go.
            seeds: Seeds per cell.
            epochs: Epochs per run.
        """
        return folder, seeds, epochs

    from lcfs import demo

    folder, seeds, epochs = _parse(options, arguments, "lcfs demo")
    return demo.run(folder, seeds, epochs)


_COMMANDS = {
    "demo": _demo,
    "train": _train,
    "bound": _bound,
    "inspect": _inspect,
    "data": _data,
    "ui": _ui,
    "sync": _sync,
    "doctor": _doctor,
}


def _parse(function: Any, arguments: list[str], program: str) -> Any:
    """tyro, with its boxed error messages turned into one sentence."""
    caught = io.StringIO()
    try:
        with contextlib.redirect_stderr(caught):
            return tyro.cli(function, args=arguments, prog=program)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(_sentence(caught.getvalue(), program)) from None


def _sentence(box: str, program: str) -> str:
    lines = [line.strip("│ ").strip() for line in box.splitlines() if not re.match(r"^[╭╰]", line)]
    rules = [i for i, line in enumerate(lines) if line.startswith("───")] + [len(lines)]
    message = " ".join(lines[: rules[0]]).rstrip(".")
    near = re.search(r"Perhaps you meant:?\s*(--[\w.-]+)", " ".join(lines))
    return f"{message}{f'; perhaps you meant {near[1]}' if near else ''}; {program} --help lists the options"


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (perhaps you meant {near[0]})" if near else ""
