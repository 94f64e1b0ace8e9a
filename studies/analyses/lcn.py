"""Where does training a linear convolutional network end: at the best function, or at a spurious critical point?

Claim (Kohn, Merkh, Montúfar, Trager, arXiv 2108.01538 and 2304.05752) for the square loss on white data and a random
Gaussian target of k coefficients:
* stride 1: an end that is not the target itself is spurious, two filters share a root there; so it is also for (3, 2),
  whose function space is everything;
* all strides above 1: no end is spurious; mixed strides: only roots shared by filters of one step are;
* (3, 2) with stride 3 is the best rank-one approximation of a 3 × 2 matrix: every end is optimal (Eckart, Young).
How L1 and β-LASSO move this is open. They train first; plain descent then takes over from where they ended, so that
both end at critical points of one loss and differ by the basin. β-LASSO's threshold βλ is not scaled by η: a weight
that is 0 stays 0 unless η|gradient| ≥ βλ, so it should lose filters, and whole nets where two of them are gone.

Item: the linear-network study of this project; nothing in the paper to compare with.
Command: python -m studies.analyses.lcn --record studies/records/lcn.json
Hardware, time: one thread of an AMD EPYC virtual machine, 476 CPU seconds.
Found, mean ± standard error over 96 targets with 4 starts each (21 November 2026; all numbers are in the record):
* SGD ends above the best loss in 0.289 ± 0.036 of the runs of (3, 2), always at spurious minima; with stride 2 in
  0.156 ± 0.027, with stride 3 never. (2, 2, 2): 0.047 ± 0.014, but 0.781 ± 0.042 end at a spurious point, mostly the
  optimal one, as the target has complex roots.
* With all strides above 1 no run of any optimizer ended at a spurious point. Elsewhere two filters of one step share a
  root in 0.96–1.00 of the spurious ends, and in none of the others. The rest converge slowly: with ten times the steps
  the roots of SGD's met too, or the run left a saddle.
* L1 and β-LASSO hardly change the basins. Among nets that are not lost the share of optimal ends differs from SGD's by
  −0.05 to +0.03; of the paired changes without losses the largest is +0.026 ± 0.009, (3, 2), stride 2, L1, λ = 0.3.
* β-LASSO loses 0.07–0.13 of the nets with two layers and 0.23–0.27 of those with three at λ = 0.1 (0.31–0.42 and
  0.58–0.62 at λ = 0.3): in every cell the share that lost a filter. L1 leaves no exact zeros and loses no net of two
  layers, but 0.04–0.22 of those with three: so close to P = 0 that descent does not leave it in the given steps.
"""

import argparse
import itertools
import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lcfs import BetaLasso
from lcfs.runs.atomic import write_text_atomically
from studies.analyses.shares import Share
from theory.lcn import Architecture, CriticalPoint, composed_size, critical_points
from theory.lcn.composition import layer_steps
from theory.lcn.numeric import chordal_distance, root_clusters

_SHORT = [((3, 2), (1, 1)), ((3, 2), (2, 1)), ((3, 2), (3, 1)), ((4, 2), (2, 1))]
_DEEP = [((2, 2, 2), (1, 1, 1)), ((2, 2, 2), (1, 2, 1)), ((2, 2, 2), (2, 1, 1)), ((2, 2, 2), (2, 2, 1))]
ARCHITECTURES = tuple(Architecture(sizes, strides) for sizes, strides in _SHORT + _DEEP)
OUTCOMES = ("optimal", "pure", "spurious", "saddle", "collapsed", "unsettled")
_ARRIVED = 1e-3  # largest coefficient of P − P* at which a critical point P* counts as reached
_MEET = _ARRIVED**0.5  # chordal distance of roots that count as shared: an error ε of P parts a double root by √ε
_COLLAPSED = 1e-3  # largest coefficient of P


@dataclass(frozen=True)
class Optimizer:
    """How the first phase is trained: λ and β of `BetaLasso`."""

    name: str
    l1: float = 0.0
    beta: float = 0.0


OPTIMIZERS = (
    Optimizer("SGD"),
    Optimizer("L1", l1=0.1),
    Optimizer("L1", l1=0.3),
    Optimizer("β-LASSO", l1=0.1, beta=0.5),
    Optimizer("β-LASSO", l1=0.3, beta=0.5),
)


@dataclass(frozen=True)
class Config:
    """Sizes of the study; weights start at N(0, start_scale²), targets are N(0, 1)."""

    targets: int = 96
    starts: int = 4
    steps: int = 6000
    learning_rate: float = 0.02
    start_scale: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """One architecture under one optimizer.

    Attributes:
        filter_sizes, strides, optimizer: the cell.
        targets, starts: n of them, and runs for each.
        outcomes: of OUTCOMES in this order; they sum to 1. Minima that are not optimal by their kind; collapsed: P = 0.
        at_spurious: ends at a spurious point, optimal or not. (At stride 1 the optimum is one if no factors exist.)
        optimal_change: share of optimal ends less that of SGD from the same starts.
        optimal_if_alive: share of optimal ends among those that did not collapse.
        shared_at_spurious: of the ends at spurious points, the share where two filters of one step share a root.
        shared_elsewhere: the same of the other settled ends; the control. None where there are no such ends.
        zeros: share of weights that are exactly zero after the first phase.
        lost_filters: share of runs with a filter that is entirely zero after the first phase.
    """

    filter_sizes: tuple[int, ...]
    strides: tuple[int, ...]
    optimizer: Optimizer
    targets: int
    starts: int
    outcomes: tuple[Share, ...]
    at_spurious: Share
    optimal_change: Share
    optimal_if_alive: Share
    shared_at_spurious: float | None
    shared_elsewhere: float | None
    zeros: float
    lost_filters: Share


def compose_all(filters: Sequence[Tensor], strides: Sequence[int]) -> Tensor:
    """`theory.lcn.compose` of n networks at once: filters [n, k_l] → P [n, k], with gradients."""
    product = filters[0]
    steps = layer_steps([w.shape[1] for w in filters], strides)
    for w, step in zip(filters[1:], steps[1:], strict=True):
        last = w.shape[1] - 1
        product = torch.stack(
            [F.pad(product * w[:, a : a + 1], (a * step, (last - a) * step)) for a in range(last + 1)]
        ).sum(0)
    return product


def train(
    filters: Sequence[Tensor], target: Tensor, strides: Sequence[int], optimizer: Optimizer, config: Config
) -> list[Tensor]:
    """n independent networks after `config.steps` steps on ‖P − u‖²; filters [n, k_l] and target [n, k] in float64."""
    parameters = [w.clone().requires_grad_() for w in filters]
    stepper = BetaLasso(parameters, config.learning_rate, l1=optimizer.l1, beta=optimizer.beta)
    for _ in range(config.steps):
        stepper.zero_grad()
        (compose_all(parameters, strides) - target).square().sum().backward()
        stepper.step()
    return [w.detach() for w in parameters]


def study(architecture: Architecture, config: Config, optimizers: Sequence[Optimizer] = OPTIMIZERS) -> Iterator[Result]:
    """One result for each optimizer, on the same targets from the same starts; the first one must be SGD."""
    sizes, strides = architecture.filter_sizes, architecture.strides
    rng = np.random.default_rng(config.seed)
    targets = rng.normal(size=(config.targets, composed_size(sizes, strides)))
    points = [critical_points(u, sizes, strides) for u in targets]
    runs = config.targets * config.starts
    start = [torch.from_numpy(config.start_scale * rng.normal(size=(runs, k))) for k in sizes]
    repeated = torch.from_numpy(targets.repeat(config.starts, axis=0))
    baseline = None
    for optimizer in optimizers:
        first = train(start, repeated, strides, optimizer, config)
        last = train(first, repeated, strides, OPTIMIZERS[0], config) if optimizer.l1 else first
        ends = compose_all(last, strides).numpy()
        reached = [_reached(p, points[run // config.starts]) for run, p in enumerate(ends)]
        outcomes = np.array([_outcome(p, point) for p, point in zip(ends, reached, strict=True)])
        spurious = np.array([point is not None and point.kind == "spurious" for point in reached])
        settled = np.array([point is not None for point in reached])
        shared = np.array([_shares_root(w, strides) for w in zip(*(w.numpy() for w in last), strict=True)])
        optimal = outcomes == "optimal"
        baseline = optimal if baseline is None else baseline
        shape = (config.targets, config.starts)
        yield Result(
            filter_sizes=sizes,
            strides=strides,
            optimizer=optimizer,
            targets=config.targets,
            starts=config.starts,
            outcomes=tuple(Share.of((outcomes == name).reshape(shape)) for name in OUTCOMES),
            at_spurious=Share.of(spurious.reshape(shape)),
            optimal_change=Share.of((optimal.astype(int) - baseline).reshape(shape)),
            optimal_if_alive=Share.of(optimal.reshape(shape), among=(outcomes != "collapsed").reshape(shape)),
            shared_at_spurious=_mean(shared[spurious]),
            shared_elsewhere=_mean(shared[settled & ~spurious]),
            zeros=round(float((torch.cat(first, 1) == 0).double().mean()), 4),
            lost_filters=Share.of(torch.stack([(w == 0).all(1) for w in first]).any(0).numpy().reshape(shape)),
        )


def _reached(p: np.ndarray, points: Sequence[CriticalPoint]) -> CriticalPoint | None:
    gaps = [np.abs(p - point.coefficients).max() for point in points]
    return points[int(np.argmin(gaps))] if gaps and min(gaps) < _ARRIVED else None


def _outcome(p: np.ndarray, point: CriticalPoint | None) -> str:
    if np.abs(p).max() < _COLLAPSED:
        return "collapsed"
    if point is None:
        return "unsettled"
    if point.stability == "saddle":
        return "saddle"
    return "optimal" if point.optimal else point.kind


def _shares_root(filters: Sequence[np.ndarray], strides: Sequence[int]) -> bool:
    """Two filters of one step have roots that meet."""
    if not all(map(np.any, filters)):
        return False
    steps = layer_steps([len(w) for w in filters], strides)
    roots = [[z for z, _ in root_clusters(w, _MEET)] for w in filters]
    pairs = [(i, j) for i, j in itertools.combinations(range(len(steps)), 2) if steps[i] == steps[j]]
    return any(chordal_distance(a, b) < _MEET for i, j in pairs for a in roots[i] for b in roots[j])


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if values.size else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all cells, print one line for each, and write the record if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=Config.targets, help="number of random targets")
    parser.add_argument("--steps", type=int, default=Config.steps, help="steps of each phase")
    parser.add_argument("--record", type=Path, help="JSON file to write")
    options = parser.parse_args(arguments)
    config = Config(targets=options.targets, steps=options.steps)
    torch.set_num_threads(1)
    begun, results = time.process_time(), []
    for architecture in ARCHITECTURES:
        for result in study(architecture, config):
            results.append(result)
            shares = [f"{name} {share}" for name, share in zip(OUTCOMES, result.outcomes, strict=True)]
            cell = (result.filter_sizes, result.strides, f"{result.optimizer.name} λ={result.optimizer.l1}")
            print(*cell, *shares, sep=" · ", flush=True)
    if options.record:
        content = {
            "command": f"python -m studies.analyses.lcn --targets {config.targets} --steps {config.steps}",
            "date": datetime.now(UTC).date().isoformat(),
            "hardware": {"machine": platform.machine(), "threads": 1, "torch": torch.__version__},
            "cpu_seconds": round(time.process_time() - begun),
            "config": asdict(config),
            "outcomes": OUTCOMES,
            "results": [asdict(result) for result in results],
        }
        write_text_atomically(json.dumps(content, ensure_ascii=False) + "\n", options.record)


if __name__ == "__main__":
    main()
