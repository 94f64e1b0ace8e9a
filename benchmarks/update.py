"""The update: β-LASSO against torch.optim.SGD in its fastest form, and against Algorithm 1 as one would type it.

One matrix of 64 Mi float32 weights that all forms update in turn, the least of all repetitions. On a CPU wall and
process seconds, with one thread and with two; the claim is at most 1.2 times SGD. On a GPU the traffic in bytes per
second as a fraction of what copying a tensor reaches in the same run; the claim is at least 0.85.

Threads of ours are not OpenMP's: without the pause between forms the latter's spinning costs ours up to 6 ms of
process time with two threads (1.3 times SGD), since torch's own operations make use of a thread that spins. The plain
form has five barriers for each chunk and is many times slower where other programs want the cores.

Command: python -m benchmarks.update [--repetitions N] [--record FILE]. A minute on two cores; needs 1.5 GB.
"""

import argparse
import json
import multiprocessing
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDE = 8192
PAUSE = 0.02  # seconds before a form: OpenMP's threads spin for some milliseconds after the form before
SLOW_REPETITIONS = 3  # of the form that takes tens of times longer than the others
LR, L1, BETA = 1e-6, 2e-5, 50.0  # a small step: the weights stay what they are while the forms take turns

Forms = dict[str, Callable[[], Any]]


def typed_out(theta: Any, gradient: Any) -> None:
    """Algorithm 1 in two lines."""
    theta.copy_(theta - LR * (gradient + L1 * theta.sign()))
    theta.copy_(theta * (theta.abs() >= BETA * L1))


def forms(parameter: Any) -> Forms:
    """What takes turns on a CPU; "β-LASSO, plain" is what a machine without a C compiler runs."""
    import torch

    from lcfs import BetaLasso
    from lcfs.optim import plain
    from lcfs.optim.rule import Rule

    theta, gradient, rule = parameter.data, parameter.grad, Rule.of(LR, L1, BETA)
    loop = torch.optim.SGD([parameter], LR, foreach=False)
    return {
        "SGD, for-loop": loop.step,
        "SGD, foreach": torch.optim.SGD([parameter], LR, foreach=True).step,
        "SGD, fused": torch.optim.SGD([parameter], LR, fused=True).step,
        "β-LASSO": BetaLasso([parameter], LR, l1=L1, beta=BETA).step,
        "β-LASSO, plain": lambda: plain.update_(rule, theta, gradient),
        "β-LASSO, typed out": lambda: typed_out(theta, gradient),
        "SGD with momentum, fused": torch.optim.SGD([parameter], LR, momentum=0.9, fused=True).step,
        "β-LASSO with momentum": BetaLasso([parameter], LR, l1=L1, beta=BETA, momentum=0.9).step,
    }


def on_cpu(threads: int, repetitions: int) -> list[dict[str, Any]]:
    """Least wall and process milliseconds of each form."""
    import torch

    from lcfs.optim import compiled

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(SIDE, SIDE) * 0.02)
    parameter.grad = torch.randn(SIDE, SIDE) * 1e-3
    turns = forms(parameter)
    wall, process = (dict.fromkeys(turns, float("inf")) for _ in range(2))
    for repetition in range(repetitions + 1):
        for name, step in turns.items():
            if repetition > SLOW_REPETITIONS and name == "β-LASSO, typed out":
                continue
            time.sleep(PAUSE)
            begun, spent = time.perf_counter(), time.process_time()
            with torch.no_grad():
                step()
            if repetition:  # the first compiles and allocates
                wall[name] = min(wall[name], time.perf_counter() - begun)
                process[name] = min(process[name], time.process_time() - spent)
    return [
        {
            "device": cpu_name(),
            "threads": threads,
            "form": name,
            "wall_ms": round(1e3 * wall[name], 1),
            "cpu_ms": round(1e3 * process[name], 1),
            "wall_times_sgd": round(wall[name] / wall[_rival(name, wall)], 2),
            "cpu_times_sgd": round(process[name] / process[_rival(name, process)], 2),
            "compiled": compiled.function() is not None,
        }
        for name in turns
    ]


def _rival(name: str, seconds: dict[str, float]) -> str:
    """The fastest form of SGD that computes as much."""
    momentum = "momentum" in name
    return min((k for k in seconds if k.startswith("SGD") and ("momentum" in k) == momentum), key=seconds.__getitem__)


def on_gpu(repetitions: int) -> list[dict[str, Any]]:
    """Least milliseconds of each form by CUDA events, and its traffic as a fraction of a copy's."""
    import torch

    from lcfs import BetaLasso

    results = []
    for weights, gradients, momentum in (
        (torch.float32, torch.float32, 0.0),
        (torch.float32, torch.float32, 0.9),
        (torch.bfloat16, torch.bfloat16, 0.0),
    ):
        parameter = torch.nn.Parameter((torch.randn(SIDE, SIDE, device="cuda") * 0.02).to(weights))
        parameter.grad = (torch.randn(SIDE, SIDE, device="cuda") * 1e-3).to(gradients)
        ours = BetaLasso([parameter], LR, l1=L1, beta=BETA, momentum=momentum)
        source, target = torch.empty(2, 4 * SIDE, SIDE, device="cuda")
        turns: Forms = {
            "copy": lambda source=source, target=target: target.copy_(source),
            "SGD, fused": torch.optim.SGD([parameter], LR, momentum=momentum, fused=True).step,
            "β-LASSO": ours.step,
        }
        if weights == torch.float32:
            turns["β-LASSO, typed out"] = lambda p=parameter: typed_out(p.data, p.grad)
        seconds = _gpu_seconds(turns, repetitions)
        # gradient and master read, master written, the copy for the matmuls written, velocity read and written
        copy = 0 if weights == torch.float32 else weights.itemsize
        per_weight = gradients.itemsize + 8 + copy + (8 if momentum else 0)
        bandwidth = 2 * source.nbytes / seconds["copy"]
        results += [
            {
                "device": torch.cuda.get_device_name(),
                "weights": str(weights).removeprefix("torch."),
                "momentum": momentum,
                "form": name,
                "ms": round(1e3 * seconds[name], 3),
                "copy_gb_per_second": round(bandwidth / 1e9),
                "fraction_of_copy": round(per_weight * parameter.numel() / seconds[name] / bandwidth, 3),
            }
            for name in turns
            if name.startswith("β")
        ]
    return results


def _gpu_seconds(turns: Forms, repetitions: int) -> dict[str, float]:
    import torch

    seconds = dict.fromkeys(turns, float("inf"))
    for repetition in range(repetitions + 3):
        for name, step in turns.items():
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
            with torch.no_grad():
                step()
            after.record()
            after.synchronize()
            if repetition >= 3:
                seconds[name] = min(seconds[name], before.elapsed_time(after) / 1e3)
    return seconds


def cpu_name() -> str:
    """As Linux calls it, else the architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Measure in a process for each number of threads, print one JSON object a line, optionally write a record."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--record", help="JSON file to write the measurements to")
    arguments = parser.parse_args()
    results: list[dict[str, Any]] = []
    for threads in (1, 2):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results += pool.apply(on_cpu, (threads, arguments.repetitions))
    if torch.cuda.is_available():
        results += on_gpu(5 * arguments.repetitions)
    for result in results:
        result["torch"] = torch.__version__
        print(json.dumps(result, ensure_ascii=False))
    if arguments.record:
        Path(arguments.record).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
