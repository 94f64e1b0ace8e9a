"""The command line. Heavy imports happen inside the commands, so that --help is instant.

Exit codes: 0 done, 1 the run or check failed, 2 bad input (one sentence on standard error).
"""

import contextlib
import os
import sys

from lcfs.cli import certify, demo, describe, export, figure, mirror, setup, study, train
from lcfs.cli.arguments import nearest
from lcfs.errors import InputError
from lcfs.ranks import torchrun

_COMMANDS = {
    "demo": demo.demo,
    "train": train.train,
    "bound": describe.bound,
    "inspect": describe.inspect,
    "certify": certify.certify,
    "verify": certify.verify,
    "export": export.export,
    "study": study.study,
    "figure": figure.figure,
    "data": setup.data,
    "ui": mirror.ui,
    "sync": mirror.sync,
    "doctor": setup.doctor,
}


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
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
    except KeyboardInterrupt:
        torchrun.let_first_speak()
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
        raise InputError(f"there is no command {name!r}{nearest(name, _COMMANDS)}; lcfs --help lists them")
    if torchrun.count() > 1 and name != "train":
        raise InputError(f"torchrun is for lcfs train alone; run lcfs {name} without it")
    return _COMMANDS[name](rest) or 0


def _overview() -> str:
    lines = ["usage: lcfs COMMAND [options]   (lcfs COMMAND --help)", ""]
    width = max(map(len, _COMMANDS))
    lines += [f"  {name:<{width}}  {(function.__doc__ or '').splitlines()[0]}" for name, function in _COMMANDS.items()]
    return "\n".join(lines)
