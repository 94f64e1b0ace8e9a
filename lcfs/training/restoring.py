"""Going on with a run: from the newest checkpoint that can be read and fits, with as many threads as before."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lcfs.errors import InputError, brief
from lcfs.ranks.ranks import Ranks
from lcfs.runs import Run
from lcfs.runs.handed_in import HandedIn
from lcfs.runs.run import read_checkpoint
from lcfs.training.session import Session


def restore(session: Session, run: Run) -> None:
    """Bring a session that has just started to where a run was stopped; a run without checkpoints starts anew.

    Checkpoints that are damaged are renamed as soon as an older one has been taken.

    Raises:
        InputError: there are checkpoints, and none can be used.
    """
    checkpoints = run.checkpoints()
    refused = []
    for path in reversed(checkpoints):
        try:
            with session.ranks.together():
                state = read_checkpoint(path)
            session.load_state_dict(state)
        except Exception as error:  # what is damaged or of another net can fail anywhere
            refused.append(path)
            reason = str(error) if isinstance(error, InputError) else f"{path} does not fit its run ({brief(error)})"
            if session.ranks.first:
                print(f"lcfs: {reason}; trying the one before", file=sys.stderr)
            continue
        if session.ranks.first:
            for damaged in refused:
                run.set_aside(damaged)
        return
    if checkpoints:
        raise InputError(f"no checkpoint of {run.path} can be used; move the folder away and start the run anew")


@contextmanager
def same_threads(run: Run, device: torch.device) -> Iterator[None]:
    """A context in which torch has the threads that a run on a CPU began with, so that it goes on bit for bit."""
    before, began = torch.get_num_threads(), run.threads()
    if device.type != "cpu" or began is None or began == before:
        yield
        return
    print(f"lcfs: {run.path} goes on with {began} threads, as it began, not {before}", file=sys.stderr)
    torch.set_num_threads(began)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def going_on(path: Path, handed_in: HandedIn, ranks: Ranks) -> str:
    """Half a sentence for whoever interrupts a training: the whole command, or call, that goes on with it."""
    arguments = [
        argument for argument, name in (("dataset", handed_in.data), ("model", handed_in.architecture)) if name
    ]
    if arguments:
        given = "".join(f", {argument}={argument}" for argument in arguments)
        return f"go on from Python with lcfs.train(config, {str(path)!r}, resume=True{given})"
    command = shlex.join(["lcfs", "train", "--resume", str(path)])
    if ranks.count > 1:
        count = os.environ.get("LOCAL_WORLD_SIZE", ranks.count)
        command = f"torchrun --nproc-per-node {count} --no-python -- {command}"
    return f"go on with: {command}"
