"""lcfs study: the grids of the package studies, from runs to tables."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from lcfs.cli.arguments import parse


@dataclass(frozen=True)
class StudyOptions:
    """Train what is not finished of a study's grid, and print what it answers."""

    name: tyro.conf.Positional[str]
    """The study; lcfs study list lists them."""
    scale: Literal["smoke", "signals", "laptop", "paper", "public-attempt"] = "smoke"
    """smoke is digits and seconds; signals MNIST-1D in the paper's regime, minutes; laptop CIFAR-10 on two cores, at
    most ninety minutes; paper its sizes and recipe; public-attempt the same with the Cutout of a public attempt."""
    executor: Literal["local", "slurm"] = "local"
    """Local processes, or jobs of a Slurm cluster through submitit."""
    jobs: int = 0
    """Runs at once; by default one for each core, or, with a GPU, one."""
    runs: Path = Path("runs") / "studies"
    """Folder of the run directories; interrupt at any time, and start again to continue."""
    records: Path | None = None
    """Folder to write a small record of each run to."""
    hours: float | None = None
    """Start or continue no training after this time; one that was cut off goes on when the study is started again."""
    price_per_hour: float | None = None
    """Price of the machine, in any currency; seconds and cost of each run go into its record."""
    recorded_steps: bool = True
    """On a GPU, record the step (CUDA graph) and replay it; a run that fails with it goes on with ordinary steps."""
    threads: int = 1
    """Of torch in each run; a CPU rounds sums otherwise with another number, so --jobs leaves it as it is."""
    data_dir: Path | None = None
    """Folder of the data sets; by default as for lcfs train."""


def study(arguments: list[str]) -> int:
    """Run one of the studies at a scale and print its tables."""
    options = parse(StudyOptions, arguments, "lcfs study")
    from studies.engine import command
    from studies.engine.budget import Budget

    if options.name == "list":
        command.print_list()
        return 0
    if options.data_dir is not None:
        os.environ["LCFS_DATA"] = str(options.data_dir)
    return command.run(
        command.Order(
            options.name,
            options.scale,
            options.executor,
            options.jobs,
            options.runs,
            options.records,
            Budget.starting_now(options.hours, options.price_per_hour),
            options.recorded_steps,
            options.threads,
        )
    )
