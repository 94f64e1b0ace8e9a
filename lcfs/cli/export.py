"""lcfs export: a run's net as a small file for inference."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from lcfs.cli.arguments import parse


@dataclass(frozen=True)
class ExportOptions:
    """Write the net of a run as a small file.

    BatchNorm is folded, dead units are gone, matrices are sparse where it pays.
    """

    run: tyro.conf.Positional[Path]
    """A run directory of lcfs train."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The file to write: .safetensors, read by lcfs.exporting.load, or .onnx, which is dense and takes pixels 0…255."""
    checkpoint: Path | None = None
    """A state dict of the same net to take instead of the run's newest checkpoint."""


def export(arguments: list[str]) -> int:
    """Write a run's net, compacted and sparse, as safetensors or ONNX."""
    options = parse(ExportOptions, arguments, "lcfs export")
    from lcfs.exporting import export as write
    from lcfs.terminal import print_table

    written = write(options.run, options.output, checkpoint=options.checkpoint)
    rows = [
        (s.name, s.kind, f"{s.inputs:,}", f"{s.outputs:,}", f"{s.entries:,}" if s.entries else "")
        for s in written.layers
    ]
    if rows:
        print_table(("layer", "kind", "in", "out", "entries"), rows)
    print(
        f"{options.output}: {written.file_bytes:,} bytes (the full net's {written.weights:,} weights: "
        f"{written.weight_bytes:,}); largest relative difference of logits {written.difference:.1e}"
    )
    return 0
