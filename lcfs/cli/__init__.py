"""The command line; one file a group of commands, imported when it is called."""

from lcfs.cli.dispatch import main

__all__ = ["main"]
