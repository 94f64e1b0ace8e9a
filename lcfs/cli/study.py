"""lcfs study: the grids of the package studies, from runs to tables."""

import os
from pathlib import Path
from typing import Literal

import tyro

from lcfs.cli.arguments import parse

_Positional = tyro.conf.Positional


def study(arguments: list[str]) -> int:
    """Run one of the studies at a scale and print its tables."""

    def options(
        name: _Positional[str],
        scale: Literal["smoke", "laptop", "paper"] = "smoke",
        executor: Literal["local", "slurm"] = "local",
        jobs: int = 0,
        runs: Path = Path("runs") / "studies",
        records: Path | None = None,
        data_dir: Path | None = None,
    ) -> tuple:
        """Train what is not finished of a study's grid, and print what it answers.

        Args:
            name: The study; lcfs study list lists them.
            scale: smoke is digits and seconds; laptop CIFAR-10 on two cores, at most ninety minutes; paper its sizes.
            executor: Local processes, or jobs of a Slurm cluster through submitit.
            jobs: Runs at once; by default one for each core, or, with a GPU, one.
            runs: Folder of the run directories; interrupt at any time, and start again to continue.
            records: Folder to write a small record of each run to.
            data_dir: Folder of the data sets; by default as for lcfs train.
        """
        return name, scale, executor, jobs, runs, records, data_dir

    name, scale, executor, jobs, runs, records, data_dir = parse(options, arguments, "lcfs study")
    from studies.engine import command

    if name == "list":
        command.print_list()
        return 0
    if data_dir is not None:
        os.environ["LCFS_DATA"] = str(data_dir)
    return command.run(name, scale, executor, jobs, runs, records)
