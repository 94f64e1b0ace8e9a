"""What an embedded convolution costs to describe: Theorem 2's map, a counted map, and a structure word.

Claim: Theorem 2 explains the generalization of convolutional nets by their few shared values, but its generic map costs
    ‖w‖₀ log2(kn) bits for an embedded convolution, however regular; naming the structure costs some 30 bits a layer.
Paper item: section 3 and appendix B. Command: python -m studies.analyses.embedded_descriptions [--record FILE]
Hardware: any. Time: seconds. Expected: 25 to 55 bits a layer for the word, 10⁷ times more for the map of S-CONV at
α = 150; no spread, nothing is drawn.

For each net of the paper: the layers that are or replace convolutions, written as fully-connected ones on 32×32×3. Its
trained β-LASSO nets lie between: their records give the bits of a support that no structure explains.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lcfs.nets.convolutions import convolutions
from studies.engine.records import RECORDS, Record, read
from studies.engine.scales import SCALES
from studies.engine.selecting import by_row
from studies.grids import longer_training
from theory.bounds import theorem2_mapping_bits
from theory.codes import LayerStructure, Structure
from theory.languages import lengths
from theory.operators import Convolution

IMAGE = (3, 32, 32)
NETS = (("s-conv", 150), ("s-local", 150), ("d-conv", 15), ("d-local", 15))


@dataclass(frozen=True)
class Embedded:
    """The maps from weights to values of the layers that replace convolutions, in bits; values themselves not counted.

    weights: n, of the fully-connected matrices. nonzeros: ‖w‖₀. shared_values: k, all taken to differ.
    theorem2: ‖w‖₀ log2(kn) + 2 log2 n. counted: which weights are not zero, log2(n+1) + log2 C(n, ‖w‖₀), and
    log2 (‖w‖₀! / Π c_j!) for which of the values each has. structure: a structure word for each layer.
    """

    net: str
    base_channels: int
    weights: int
    nonzeros: int
    shared_values: int
    theorem2: float
    counted: float
    structure: int
    layers: int


@dataclass(frozen=True)
class Trained:
    """A trained net of the study longer_training: all its weights, values included."""

    net: str
    base_channels: int
    optimizer: str
    weights: int
    nonzeros: int
    theorem2: float
    counted: float
    best: float


def layers_of(net: str, base_channels: int) -> Iterator[tuple[Convolution, LayerStructure]]:
    """Geometry and structure word of each convolution of a CONV or LOCAL net."""
    seen, kind = IMAGE, net.split("-")[1]
    for row in convolutions(net):
        channels = row.channels * base_channels
        layer = Convolution(seen, channels, row.kernel, stride=row.stride, padding=row.kernel // 2)
        yield layer, LayerStructure(kind, seen[0], channels, row.kernel, row.stride, row.kernel // 2)
        seen = (channels, *layer.out_spatial)


def embedded(net: str, base_channels: int) -> Embedded:
    """Lengths of the maps of one net; the matrices are never built."""
    weights = nonzeros = values = structure = count = 0
    arrangements = 0.0
    for layer, word in layers_of(net, base_channels):
        rows, columns = layer.shape
        weights += rows * columns
        nonzeros += layer.local_dimension
        structure += Structure().length(word)
        count += 1
        pairs = layer.in_channels * layer.out_channels
        if word.kind == "conv":
            meets = layer.gram().diagonal().reshape(-1)[: layer.weight_shape[2] * layer.weight_shape[3]]
            values += pairs * len(meets)
            arrangements -= pairs * sum(math.lgamma(times + 1) for times in meets)
        else:
            values += layer.local_dimension  # every weight its own
    arrangements = (math.lgamma(nonzeros + 1) + arrangements) / math.log(2)
    return Embedded(
        net,
        base_channels,
        weights,
        nonzeros,
        values,
        theorem2=theorem2_mapping_bits(nonzeros, values, weights),
        counted=lengths.support(weights, nonzeros) + arrangements,
        structure=structure,
        layers=count,
    )


def trained() -> list[Trained]:
    """The nets of the committed records of longer_training."""
    rows = by_row(longer_training.cells(SCALES["laptop"]), read(RECORDS / "laptop"))
    return [_trained(record) for runs in rows.values() for record in runs]


def _trained(record: Record) -> Trained:
    config, metrics = record.config, record.metrics
    return Trained(
        config["architecture"],
        config["base_channels"],
        config["optimizer"]["name"],
        int(metrics["final/weights"]),
        int(metrics["final/nonzeros"]),
        metrics["bits/theorem2"],
        metrics["bits/enumerative-shared"],
        metrics["bits/best"],
    )


def main() -> None:
    """Print both tables, optionally write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="JSON file to write the rows to")
    arguments = parser.parse_args()
    maps = [embedded(*net) for net in NETS]
    nets = trained()
    _print("maps of embedded layers, bits", maps)
    _print("trained nets, all weights and values, bits", nets)
    if arguments.record:
        rows: dict[str, list[dict[str, Any]]] = {"embedded": [asdict(row) for row in maps]}
        rows["trained"] = [asdict(row) for row in nets]
        arguments.record.write_text(json.dumps(rows, indent=1) + "\n")


def _print(title: str, rows: list[Any]) -> None:
    from lcfs.terminal import print_table

    cells = [tuple(f"{v:,.0f}" if isinstance(v, (int, float)) else v for v in asdict(row).values()) for row in rows]
    print_table(tuple(asdict(rows[0])), cells, title)


if __name__ == "__main__":
    main()
