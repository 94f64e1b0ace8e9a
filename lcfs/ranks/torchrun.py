"""What torchrun tells a process through its environment; imports nothing big, so that the command line stays quick."""

import os
import signal
import time

_PATIENCE = 10  # seconds


def rank() -> int:
    """Number of this process among all that were started together, from 0."""
    return int(os.environ.get("RANK", 0)) if count() > 1 else 0


def local_rank() -> int:
    """Number of this process among those on this machine, from 0: the GPU that is its own."""
    return int(os.environ.get("LOCAL_RANK", rank()))


def count() -> int:
    """Number of processes that were started together."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "RANK" in os.environ else 1


def let_first_speak() -> None:
    """Wait before this process says what is wrong, unless it is the first one.

    What one refuses, all refuse. The first one says it and leaves, and torchrun then ends the others as they wait here;
    if nothing ends this one, the trouble is its own.
    """
    if rank() > 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # torchrun's, once the first one has left: nothing more to say
        time.sleep(_PATIENCE)
