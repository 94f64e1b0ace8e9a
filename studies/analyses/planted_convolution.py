"""How much noise the search for the nearest convolution bears: a curve.

Claim: a shuffled, rescaled S-CONV layer is found exactly without noise, and every unit keeps its place until the noise
    in a window is as strong as the filter; beyond, the match fades and does not jump.
Paper item: none (a measure of sharing). Command: python -m studies.analyses.planted_convolution [--record FILE]
Hardware: one CPU core. Time: three minutes. Expected: all units right up to a noise-to-weight ratio of 0.3, none of
    the energy unexplained beyond the noise itself; ± 0.02 over three seeds.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lcfs.runs.atomic import write_text_atomically
from studies.engine.records import Estimate, estimate
from theory.nearest_convolution import nearest_convolution
from theory.operators import Convolution

LAYER = Convolution((3, 32, 32), 8, 9, stride=2, padding=4)
NOISE = (0.0, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Point:
    """At a ratio of the noise's standard deviation to the filters': means over seeds, shares in [0, 1].

    noise_energy is the share that the planted convolution itself leaves over.
    """

    noise: float
    right: Estimate
    unexplained: Estimate
    noise_energy: Estimate
    coverage: Estimate


def measure(noise: float, seed: int) -> tuple[float, float, float, float]:
    """(units with their position and their channel's majority, unexplained, noise's share of the energy, coverage)."""
    rng = np.random.default_rng(seed)
    places = LAYER.out_spatial[0] * LAYER.out_spatial[1]
    matrix = np.asarray(LAYER.matrix(rng.normal(size=LAYER.weight_shape)), dtype=np.float32)
    order = rng.permutation(len(matrix))
    scale = rng.choice([-1, 1], len(matrix)) * np.exp(0.3 * rng.normal(size=len(matrix)))
    dirt = noise * rng.normal(size=matrix.shape).astype(np.float32)
    match = nearest_convolution((matrix[order] + dirt) * scale[:, None].astype(np.float32), LAYER, seed=seed)
    right = 0
    for channel in range(LAYER.out_channels):
        units = np.flatnonzero(match.channel == channel)
        if len(units):
            names, counts = np.unique(order[units] // places, return_counts=True)
            same = order[units] // places == names[counts.argmax()]
            right += int((same & (order[units] % places == match.position[units])).sum())
    left = float(((dirt * scale[:, None]) ** 2).sum() / (((matrix[order] + dirt) * scale[:, None]) ** 2).sum())
    return right / len(matrix), match.unexplained, left, match.coverage


def curve() -> list[Point]:
    """All points."""
    points = []
    for noise in NOISE:
        columns = zip(*(measure(noise, seed) for seed in SEEDS), strict=True)
        points.append(Point(noise, *(estimate(column) for column in columns)))
    return points


def main() -> None:
    """Print the curve, optionally write it to a file."""
    from lcfs.terminal import print_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="JSON file to write the points to")
    arguments = parser.parse_args()
    points = curve()
    rows = [
        (f"{p.noise:g}", *(f"{e:.3f}" for e in (p.right, p.unexplained, p.noise_energy, p.coverage))) for p in points
    ]
    print_table(("noise / weight", "units right", "left over", "noise's share", "slots held"), rows)
    if arguments.record:
        write_text_atomically(json.dumps([asdict(point) for point in points], indent=1) + "\n", arguments.record)


if __name__ == "__main__":
    main()
