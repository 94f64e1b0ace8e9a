"""The command line. Heavy imports happen inside the commands, so that --help is instant.

Exit codes: 0 done, 1 the run or check failed, 2 bad input (one sentence on standard error), 130 and 143 interrupted by
Ctrl-C and by SIGTERM (one sentence that holds the command to go on).
"""

import contextlib
import errno
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lcfs.cli import certify, demo, describe, export, figure, mirror, setup, study, train
from lcfs.errors import InputError, nearest
from lcfs.interrupts import raise_on_sigterm, signal_of
from lcfs.ranks import torchrun

_OF_THE_DISK = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOTDIR)


@dataclass(frozen=True)
class _Group:
    """Commands that belong together: name → (what runs it, what it does), and an example."""

    title: str
    example: str
    commands: Mapping[str, tuple[Callable[[list[str]], int], str]]


_GROUPS = (
    _Group(
        "a first look",
        "demo",
        {
            "demo": (demo.demo, "small nets on digits: trains, prints a table, draws"),
            "doctor": (setup.doctor, "versions, devices and folders, for bug reports"),
            "data": (setup.data, "fetch a data set and verify it"),
        },
    ),
    _Group(
        "one net",
        "train s-fc-beta-lasso",
        {
            "train": (train.train, "train a net, with any field of its configuration as an option"),
            "inspect": (describe.inspect, "what a checkpoint holds, and what its first layer learned"),
            "export": (export.export, "a run's net as a small file for inference"),
        },
    ),
    _Group(
        "how well it generalizes",
        "bound FILE --errors 0.05 --samples 50000",
        {
            "bound": (describe.bound, "description lengths and bounds of any checkpoint"),
            "certify": (certify.certify, "bits that decode to a net, and a bound on its error"),
            "verify": (certify.verify, "check a certificate, trusting nothing in it but its bits"),
        },
    ),
    _Group(
        "many nets",
        "study list",
        {
            "study": (study.study, "train a grid of nets and print the tables that answer it"),
            "figure": (figure.figure, "draw a figure of the paper or of ours from run records"),
            "ui": (mirror.ui, "compare runs in MLflow's pages"),
            "sync": (mirror.sync, "send run directories to MLflow, as far as it lacks them"),
        },
    ),
)

COMMANDS = {name: function for group in _GROUPS for name, (function, _) in group.commands.items()}


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    raise_on_sigterm()
    try:
        if torchrun.rank() == 0:
            raise SystemExit(_dispatch(arguments))
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            raise SystemExit(_dispatch(arguments))
    except InputError as error:
        torchrun.let_first_speak()
        print(f"lcfs: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        torchrun.let_first_speak()
        place = f"{error.filename} cannot be read or written" if error.filename else "a file cannot be written"
        print(f"lcfs: {place} ({error.strerror}); make room, make it writable or choose another place", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt as error:
        torchrun.let_first_speak()
        again = shlex.join(["lcfs", *arguments])
        print(f"lcfs: {str(error) or f'interrupted; go on with: {again}'}", file=sys.stderr)
        raise SystemExit(128 + signal_of(error)) from None


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from lcfs import __version__

        print(f"lcfs {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        raise InputError(f"there is no command {name!r}{nearest(name, COMMANDS)}; lcfs --help lists them")
    if torchrun.count() > 1 and name != "train":
        raise InputError(f"torchrun is for lcfs train alone; run lcfs {name} without it")
    return COMMANDS[name](rest) or 0


def _overview() -> str:
    lines = ["usage: lcfs COMMAND [options]", "       lcfs COMMAND --help"]
    for group in _GROUPS:
        lines += ["", f"{group.title}, as in lcfs {group.example}"]
        lines += [f"  {name:<8} {summary}" for name, (_, summary) in group.commands.items()]
    return "\n".join(lines)
