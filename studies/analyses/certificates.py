"""What certificates of real nets say: which are vacuous, and what it would take.

Claim: no net of the paper's kind, trained by SGD or β-LASSO and described as it is or pruned and quantized post hoc,
    has a non-vacuous certificate at laptop size, on digits (1,437 training images) or on CIFAR-10 (50,000); a tiny net
    that is quantized while it is trained has one (studies/quantized).
Paper item: section 3. Command: python -m studies.analyses.certificates RUNS --records studies/records
    RUNS holds run directories of lcfs train and of studies.quantized.certificate.
Hardware: two CPU cores. Time: a minute a net.
Expected: 10⁴ to 10⁵ bits on digits, 10⁵ to 10⁷ on CIFAR-10, with ten to a thousand times too few images.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from lcfs import certificates
from lcfs.certificates import Certificate, Coarsening
from lcfs.certificates.certifying import AS_TRAINED
from lcfs.runs import Run
from lcfs.runs.atomic import write_text_atomically
from lcfs.runs.quantized_run import QuantizedRun
from theory import bounds
from theory.verdicts import at_most

GRID = tuple(Coarsening(density, bits) for density, bits in product((1.0, 0.3, 0.1, 0.03), (2, 3, 4)))
"""Post-hoc pruning and quantization: the least bound is certified; all are words of one code, so looking is free."""


@dataclass(frozen=True)
class Row:
    """One certificate; errors and bounds in [0, 1]. samples_needed: to beat guessing; 0 if it does."""

    name: str
    data: str
    bits: int
    language: str
    images: int
    train_error: float
    test_error: float
    theorem1: float
    occam_hoeffding: float
    occam_kl: float
    occam_binomial: float
    test_set_bound: float
    samples_needed: int
    file_bytes: int


def row_of(file: Path) -> Row:
    """The numbers of one certificate."""
    c = Certificate.read(file)
    return Row(
        file.stem,
        c.train.data,
        c.bits,
        c.language,
        c.train.images,
        c.train_errors / c.train.images,
        c.test_errors / c.test.images,
        **asdict(c.bounds),
        test_set_bound=bounds.test_set_bound(c.test_errors, c.test.images, c.delta),
        samples_needed=int(c.verdict().samples_needed),
        file_bytes=file.stat().st_size,
    )


def main() -> None:
    """Certify and verify each run; tabulate all certificates of the folder in certificates.json."""
    from lcfs.terminal import print_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", help="run directories")
    parser.add_argument("--records", type=Path, required=True, help="folder for certificates.json and certificates/")
    parser.add_argument("--data-dir", help="folder of the data sets; by default as for lcfs train")
    arguments = parser.parse_args()
    folder = arguments.records / "certificates"
    folder.mkdir(parents=True, exist_ok=True)
    for path in arguments.runs:
        file = folder / f"{path.name}.cert"
        candidates = (AS_TRAINED,) if isinstance(Run.open(path), QuantizedRun) else GRID
        certificates.certify(path, data_dir=arguments.data_dir, candidates=candidates).write(file)
        verdict = certificates.verify(file, data_dir=arguments.data_dir)
        print(f"{file}: {'verified' if verdict.verified else verdict.differences}", flush=True)
    rows = sorted(
        map(row_of, folder.glob("*.cert")), key=lambda row: (row.data, row.occam_binomial, row.samples_needed)
    )
    text = json.dumps([asdict(row) for row in rows], indent=1) + "\n"
    write_text_atomically(text, arguments.records / "certificates.json")
    header = ("net", "images", "bits", "train error %", "Occam–binomial %", "images needed", "test-set bound %")
    cells = [
        (
            row.name,
            f"{row.images:,}",
            f"{row.bits:,}",
            f"{100 * row.train_error:.2f}",
            at_most(row.occam_binomial).removesuffix(" %"),
            f"{row.samples_needed:,}",
            at_most(row.test_set_bound).removesuffix(" %"),
        )
        for row in rows
    ]
    print_table(header, cells)


if __name__ == "__main__":
    main()
