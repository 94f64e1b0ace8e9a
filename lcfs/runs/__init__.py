"""What a run and a launch of a study leave on disk, written so that nothing is lost."""

from lcfs.runs.run import Run

__all__ = ["Run"]
