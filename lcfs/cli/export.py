"""lcfs export: a run's net as a small file for inference."""

from pathlib import Path
from typing import Annotated

import tyro

from lcfs.cli.arguments import parse

_Positional = tyro.conf.Positional


def export(arguments: list[str]) -> int:
    """Write a run's net, compacted and sparse, as safetensors or ONNX."""

    def options(
        run: _Positional[Path],
        output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
        checkpoint: Path | None = None,
    ) -> tuple:
        """Write the net of a run without BatchNorm and dead units, with sparse matrices where those are faster.

        Args:
            run: A run directory of lcfs train.
            output: The file to write: .safetensors, read by lcfs.exporting.load, or .onnx, which is dense and takes
                pixels 0…255.
            checkpoint: A state dict of the same net to take instead of the run's newest checkpoint.
        """
        return run, output, checkpoint

    run, output, checkpoint = parse(options, arguments, "lcfs export")
    from lcfs.exporting import export as write
    from lcfs.terminal import print_table

    written = write(run, output, checkpoint=checkpoint)
    rows = [
        (s.name, s.kind, f"{s.inputs:,}", f"{s.outputs:,}", f"{s.entries:,}" if s.entries else "")
        for s in written.layers
    ]
    if rows:
        print_table(("layer", "kind", "in", "out", "entries"), rows)
    print(
        f"{output}: {written.file_bytes:,} bytes (the full net's {written.weights:,} weights: "
        f"{written.weight_bytes:,}); largest relative difference of logits {written.difference:.1e}"
    )
    return 0
