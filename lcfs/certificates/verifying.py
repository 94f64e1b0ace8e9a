"""lcfs verify: everything that a certificate claims, computed anew from its bits."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lcfs import data
from lcfs.certificates.certificate import Certificate, claimed
from lcfs.certificates.certifying import check_delta
from lcfs.certificates.container import Damaged
from lcfs.certificates.evidence import Sample, count_errors
from lcfs.descriptions.encoded import Decoded, decode, read_word
from lcfs.descriptions.predictor import Predictor
from lcfs.errors import InputError
from theory.verdicts import Bounds, all_bounds

MOST_WEIGHTS = 1 << 24
_BYTES_A_WEIGHT = 8  # of a file: twice what any language takes
_OPERATIONS_A_WEIGHT = 64
_CAUTIONS = (1.0, 16.0)  # around what `lcfs certify` counts with
_ABOVE = 3e-9  # what a claimed bound may be above the computed one


@dataclass(frozen=True)
class Verification:
    """What became of a certificate: verified if nothing differs. `certificate` is None if the file is damaged."""

    certificate: Certificate | None
    differences: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether every claim was confirmed."""
        return not self.differences


def verify(path: str | Path, *, data_dir: str | Path | None = None, most_weights: int = MOST_WEIGHTS) -> Verification:
    """Check a certificate, trusting nothing in it but its bits.

    The net is rebuilt from the bits, its errors are recounted on the data set, and length, ledger and bounds are
    computed anew. No code from the file is run.

    Args:
        path: a file that `lcfs certify` wrote, whoever sent it.
        data_dir: folder of the data set, as for `lcfs.data.load`.
        most_weights: nets of more weights are not built, nor such of more than 64 times as many multiplications an
            image; a file of more than eight bytes a weight is not read.

    Raises:
        InputError: the file cannot be read or is no certificate, is larger than allowed, or the data set is not there.
    """
    try:
        claim = Certificate.read(Path(path), most_bytes=_BYTES_A_WEIGHT * most_weights + (1 << 21))
    except Damaged as error:
        return Verification(None, (str(error),))
    if unusable := _unusable(claim):
        return Verification(claim, tuple(unusable))
    try:
        predictor, _ = read_word(claim.description)
        if wrong := _for_other_data(predictor, claim.train.data):
            return Verification(claim, (wrong,))
        _check_size(predictor, most_weights, path)
        decoded = decode(claim.description)
    except InputError:
        raise
    except (ValueError, OverflowError) as error:
        return Verification(claim, (f"the bits describe no net: {error}",))
    return Verification(claim, tuple(_differences(claim, decoded, data_dir)))


def _unusable(claim: Certificate) -> list[str]:
    """Claims with which nothing can be computed."""
    wrong = []
    try:
        check_delta(claim.delta)
    except InputError as error:
        wrong.append(str(error))
    if (claim.train.split, claim.test.split) != ("train", "test"):
        wrong.append(f"the samples are {claim.train.split:.40} and {claim.test.split:.40}, expected train and test")
    if claim.train.data not in data.DATASETS:
        wrong.append(f"the data set {claim.train.data!r:.40} is unknown; known are {', '.join(data.DATASETS)}")
    return wrong


def _for_other_data(predictor: Predictor, name: str) -> str:
    """A sentence if the net takes other images, or has other classes, than the data set; nothing is built for that."""
    facts = data.facts(name)
    if (predictor.image, predictor.classes) == (facts.image, facts.classes):
        return ""
    seen = f"{predictor.image} in {predictor.classes} classes"
    return f"the net takes images {seen}, {name} has {facts.image} in {facts.classes}"


def _check_size(predictor: Predictor, most_weights: int, path: str | Path) -> None:
    """Raises InputError for a net that is larger than allowed, ValueError for an impossible one."""
    most_operations = _OPERATIONS_A_WEIGHT * most_weights
    for size, most, what in (
        (predictor.weights(), most_weights, "weights"),
        (predictor.operations(), most_operations, "multiplications an image"),
    ):
        if size > most:
            raise InputError(
                f"{path} describes a net of {size:,} {what}, more than the {most:,} allowed; if you trust its sender, "
                "allow more with --most-weights"
            )


def _differences(claim: Certificate, decoded: Decoded, data_dir: str | Path | None) -> list[str]:
    dataset = data.load(claim.train.data, folder=data_dir)
    wrong = []
    for split, of_claim in (("train", claim.train), ("test", claim.test)):
        sample = Sample.of(dataset, split)
        for field in fields(Sample):
            wrong += _compare(f"{split}.{field.name}", getattr(of_claim, field.name), getattr(sample, field.name))
    if wrong:
        return wrong
    encoded = decoded.encode()
    if encoded.bits != claim.description:
        wrong.append("the bits are not how this net is written: a language is longer than needed, or a value is spare")
    wrong += _compare("language", claim.language, decoded.language)
    wrong += _compare("ledger", claim.ledger, decoded.ledger)
    wrong += _compare("language_bits", claim.language_bits, encoded.language_bits)
    for name, errors, images in (
        ("train_errors", claim.train_errors, dataset.train),
        ("test_errors", claim.test_errors, dataset.test),
    ):
        least, most = count_errors(decoded, images, _CAUTIONS)
        if not least <= errors <= most:
            wrong.append(f"{name} is claimed to be {errors!s:.40}, it is {least}")
    if not wrong:
        computed = all_bounds(claim.train_errors, claim.bits, claim.train.images, claim.delta)
        wrong += _confirm_bounds(claim.bounds, computed)
    return wrong


def _confirm_bounds(claim: Bounds, computed: Bounds) -> list[str]:
    """Not the least bit less may be claimed than is computed, and not much more."""
    most = claimed(computed)
    return [
        f"bound {name} is claimed to be {value}, it is {asdict(computed)[name]}"
        for name, value in asdict(claim).items()
        if not asdict(computed)[name] <= value <= asdict(most)[name] + _ABOVE
    ]


def _compare(name: str, claim: object, true: object) -> list[str]:
    if claim == true:
        return []
    if isinstance(true, tuple | list | dict):
        return [f"{name} is not what the bits and the data give"]
    return [f"{name} is claimed to be {claim!s:.80}, it is {true}"]
