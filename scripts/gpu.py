"""Everything that wants a GPU, in one go: tests, the speed of update and step, then the paper's nets at full width.

Command: python scripts/gpu.py RUNS [--hours H] [--price-per-hour P] [--try]; needs LCFS_DATA or a network for CIFAR-10.
A benchmark that has a record is skipped, and so is what the study full_width has finished: the same command again
continues. A part that fails is reported and stops no other. Where the tests of recorded steps (CUDA graphs) fail, the
trainings use ordinary ones, which are slower and give the same nets. --try does everything on a CPU at a tiny size.

Time on an H100, expected before any run there: two benchmarks, 5 minutes; for the trainings see the study.
Records go to benchmarks/records and studies/records/paper.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TESTS = ("augmentation/test_policy", "optim/test_update")
STEP_TESTS = "training/test_recorded_step"


def run(*command: str) -> bool:
    """Whether a Python command succeeded, in a process of its own: an error on a GPU can leave it without its use."""
    return subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode == 0


def tests_pass(name: str) -> bool:
    """Whether the tests of a file of tests/lcfs pass here; without conftest.py, which wants more than pytest."""
    return run("-m", "pytest", "-q", "--noconftest", f"tests/lcfs/{name}.py")


def update_benchmark(path: Path, trial: bool) -> None:
    """The GPU's part of benchmarks/update.py."""
    import torch

    from benchmarks import update

    if trial:
        update.SIDE = 64
    results = update.on_cpu(1, 1) if trial else update.on_gpu(75)
    results = [result | {"torch": torch.__version__} for result in results]
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(*(json.dumps(result, ensure_ascii=False) for result in results), sep="\n", flush=True)


def step_benchmark(path: Path, trial: bool) -> bool:
    """benchmarks/gpu_step.py; whether it succeeded."""
    partial = path.with_suffix(".partial.json")
    options = ("--cpu", "--rounds", "1", "--nets", "s-conv") if trial else ()
    if not run("-m", "benchmarks.gpu_step", "--record", str(partial), *options):
        return False
    partial.replace(path)
    return True


def study_command(arguments: argparse.Namespace, records: Path, recorded_steps: bool, began: float) -> list[str]:
    """`lcfs study full_width` for the hours that are left."""
    hours = max(arguments.hours - (time.time() - began) / 3600, 0.0)
    command = ["-m", "lcfs.cli", "study", "full_width", "--scale", "smoke" if arguments.trial else "paper"]
    command += ["--runs", str(arguments.runs), "--records", str(records), "--hours", f"{hours:.4f}", "--jobs", "1"]
    if arguments.price_per_hour is not None:
        command += ["--price-per-hour", str(arguments.price_per_hour)]
    return command if recorded_steps else [*command, "--no-recorded-steps"]


def run_all(arguments: argparse.Namespace) -> list[str]:
    """Do what is not done yet; one line for each part that is still open."""
    began, trial = time.time(), arguments.trial
    # On a CPU, `make test` has run these tests.
    open_parts = [] if trial else [f"{name} failed" for name in TESTS if not tests_pass(name)]
    recorded_steps = trial or tests_pass(STEP_TESTS)
    if not recorded_steps:
        open_parts.append(f"{STEP_TESTS} failed; trainings use ordinary steps")
    benchmarks = arguments.runs / "records" if trial else ROOT / "benchmarks" / "records"
    records = arguments.runs / "records" / "trainings" if trial else ROOT / "studies" / "records" / "paper"
    benchmarks.mkdir(parents=True, exist_ok=True)
    update, step = benchmarks / "gpu_update.json", benchmarks / "gpu_step.json"
    if not update.exists() and not run(__file__, str(update), "--update-benchmark", *(["--try"] if trial else [])):
        open_parts.append("the benchmark of the update failed")
    if not step.exists() and not step_benchmark(step, trial):
        open_parts.append("the benchmark of the step failed")
    if not run(*study_command(arguments, records, recorded_steps, began)):
        open_parts.append("the study full_width is not finished")
    return open_parts


def main() -> None:
    """Exit code 1 if a part is still open."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of the run directories")
    parser.add_argument("--hours", type=float, default=2.0, help="start or continue nothing after this time")
    parser.add_argument("--price-per-hour", type=float, help="of the machine, in any currency")
    parser.add_argument("--try", dest="trial", action="store_true", help="everything on the CPU at a tiny size")
    parser.add_argument("--update-benchmark", action="store_true", help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    if arguments.update_benchmark:
        update_benchmark(arguments.runs, arguments.trial)
        return
    if not arguments.trial:
        import torch

        from lcfs import data
        from lcfs.errors import InputError

        if not torch.cuda.is_available():
            parser.error("torch sees no GPU; use --try to try the script without one")
        try:
            data.fetch("cifar10")
        except InputError as error:
            parser.error(str(error))
    arguments.runs = arguments.runs.resolve()
    open_parts = run_all(arguments)
    print(*open_parts, sep="\n")
    sys.exit(bool(open_parts))


if __name__ == "__main__":
    main()
