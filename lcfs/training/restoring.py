"""Going on from a checkpoint: the newest that can be read and fits, else the one before."""

import sys

from lcfs.errors import InputError, brief
from lcfs.runs import Run
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
