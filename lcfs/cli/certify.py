"""lcfs certify and lcfs verify: from a run to a certificate, and its independent check."""

from itertools import product
from pathlib import Path
from typing import Annotated

import tyro

from lcfs.cli.arguments import parse
from lcfs.errors import InputError

_Positional = tyro.conf.Positional


def certify(arguments: list[str]) -> int:
    """Turn a trained run into a generalization certificate."""

    def options(
        run: _Positional[Path],
        output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
        checkpoint: Path | None = None,
        data_dir: Path | None = None,
        delta: float = 0.05,
        densities: tuple[float, ...] = (1.0,),
        value_bits: tuple[int, ...] = (),
    ) -> tuple:
        """Encode a net, decode it, count the decoded net's errors on the training set, and bound its error.

        Args:
            run: A run directory of lcfs train.
            output: The certificate to write.
            checkpoint: A state dict of the same net to take instead of the run's newest checkpoint.
            data_dir: Folder of the data set; by default as for lcfs train.
            delta: Probability with which the bounds may fail.
            densities: Parts of the non-zero weights to try to keep; the best bound wins.
            value_bits: Numbers of bits to try for quantization, each array sharing 2^bits values; none: keep all.
        """
        return run, output, checkpoint, data_dir, delta, densities, value_bits

    run, output, checkpoint, data_dir, delta, densities, value_bits = parse(options, arguments, "lcfs certify")
    from lcfs.certificates import Attempt, Coarsening
    from lcfs.certificates import certify as make
    from lcfs.cli.certificate_report import print_certificate

    try:
        candidates = [Coarsening(density, bits) for density, bits in product(densities, value_bits or (None,))]
    except ValueError as error:
        raise InputError(str(error)) from error
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} of --output does not exist; make it or choose another")

    def show(attempt: Attempt) -> None:
        how = attempt.how
        values = "all values" if how.value_bits is None else f"{how.value_bits} bits a value"
        print(
            f"density {how.density:g}, {values}: {attempt.bits:,} bits, {attempt.train_errors:,} training errors, "
            f"bound {attempt.bound:.4f}{_lacking(attempt.samples_needed)}",
            flush=True,
        )

    found = make(
        run,
        checkpoint=checkpoint,
        data_dir=data_dir,
        delta=delta,
        candidates=candidates,
        on_attempt=show if len(candidates) > 1 else None,
    )
    found.write(output)
    print_certificate(output, found)
    return 0


def _lacking(samples_needed: float) -> str:
    """How far a candidate is from a bound that says something."""
    if not samples_needed:
        return ""
    return (
        ", vacuous at any size" if samples_needed == float("inf") else f", vacuous below {samples_needed:,.0f} images"
    )


def verify(arguments: list[str]) -> int:
    """Check a certificate independently: exit code 0 if every claim holds, 1 if not."""

    def options(file: _Positional[Path], data_dir: Path | None = None) -> tuple:
        """Rebuild the net from a certificate's bits, recount its errors, and recompute length and bounds.

        Args:
            file: A certificate, whoever made it; no code from it is run.
            data_dir: Folder of the data set; by default as for lcfs train.
        """
        return file, data_dir

    file, data_dir = parse(options, arguments, "lcfs verify")
    from lcfs.certificates import verify as check
    from lcfs.cli.certificate_report import print_certificate

    found = check(file, data_dir=data_dir)
    if found.certificate is not None and found.verified:
        print_certificate(file, found.certificate)
    for difference in found.differences:
        print(f"differs: {difference}")
    print(f"{file}: {'verified' if found.verified else 'NOT verified'}")
    return 0 if found.verified else 1
