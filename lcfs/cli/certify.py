"""lcfs certify and lcfs verify: from a run to a certificate, and its independent check."""

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from lcfs.cli.arguments import parse
from lcfs.errors import InputError

if TYPE_CHECKING:
    from theory.verdicts import Verdict


@dataclass(frozen=True)
class CertifyOptions:
    """Encode a net, decode it, count the errors of what was decoded, and bound them.

    The errors are those on the training set, and the bound is on new images.
    """

    run: tyro.conf.Positional[Path]
    """A run directory of lcfs train."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The certificate to write."""
    checkpoint: Path | None = None
    """A state dict of the same net to take instead of the run's newest checkpoint."""
    data_dir: Path | None = None
    """Folder of the data set; by default as for lcfs train."""
    delta: float = 0.05
    """Probability with which the bounds may fail, in (0, 0.5], fixed before anyone looks at the data."""
    densities: tuple[float, ...] = (1.0,)
    """Parts of the non-zero weights to try to keep; the best bound wins."""
    value_bits: tuple[int, ...] = ()
    """Numbers of bits to try for quantization, each array sharing 2^bits values; none: keep all."""


@dataclass(frozen=True)
class VerifyOptions:
    """Rebuild the net from a certificate's bits and compute anew all that it claims."""

    file: tyro.conf.Positional[Path]
    """A certificate, whoever made it; no code from it is run."""
    data_dir: Path | None = None
    """Folder of the data set; by default as for lcfs train."""
    most_weights: int = 1 << 24
    """Nets of more weights, or of more than 64 times as many multiplications an image, are refused unbuilt."""


def certify(arguments: list[str]) -> int:
    """Turn a trained run into a generalization certificate."""
    options = parse(CertifyOptions, arguments, "lcfs certify")
    output = options.output
    from lcfs.certificates import Attempt, Coarsening
    from lcfs.certificates import certify as make
    from lcfs.certificates.report import print_certificate
    from theory.verdicts import at_most

    try:
        ways = product(options.densities, options.value_bits or (None,))
        candidates = [Coarsening(density, bits) for density, bits in ways]
    except ValueError as error:
        raise InputError(str(error)) from error
    if not output.parent.is_dir():
        raise InputError(f"the folder {output.parent} of --output does not exist; make it or choose another")

    def show(attempt: Attempt) -> None:
        how = attempt.how
        values = "all values" if how.value_bits is None else f"{how.value_bits} bits a value"
        print(
            f"density {how.density:g}, {values}: {attempt.bits:,} bits, {attempt.train_errors:,} training errors, "
            f"bound {at_most(attempt.verdict.bound)} at δ = {options.delta:g}{_lacking(attempt.verdict)}",
            flush=True,
        )

    certificate = make(
        options.run,
        checkpoint=options.checkpoint,
        data_dir=options.data_dir,
        delta=options.delta,
        candidates=candidates,
        on_attempt=show if len(candidates) > 1 else None,
    )
    certificate.write(output)
    print_certificate(output, certificate)
    return 0


def _lacking(verdict: "Verdict") -> str:
    """How far a candidate is from a bound that says something."""
    if not verdict.vacuous:
        return ""
    if verdict.samples_needed == math.inf:
        return ", vacuous at any size"
    return f", vacuous below {verdict.samples_needed:,.0f} images"


def verify(arguments: list[str]) -> int:
    """Check a certificate independently: exit code 0 if every claim holds, 1 if not."""
    options = parse(VerifyOptions, arguments, "lcfs verify")
    file = options.file
    from lcfs.certificates import verify as check
    from lcfs.certificates.report import print_certificate

    verification = check(file, data_dir=options.data_dir, most_weights=options.most_weights)
    if verification.certificate is not None and verification.verified:
        print_certificate(file, verification.certificate)
    for difference in verification.differences:
        print(f"differs: {difference}")
    print(f"{file}: {'verified' if verification.verified else 'NOT verified'}")
    return 0 if verification.verified else 1
