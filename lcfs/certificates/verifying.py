"""lcfs verify: everything that a certificate claims, computed anew from its bits."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lcfs import data
from lcfs.certificates.certificate import Certificate
from lcfs.certificates.container import Damaged
from lcfs.certificates.evidence import Sample, count_errors
from lcfs.descriptions.encoded import Decoded, decode
from theory.verdicts import all_bounds

_TOLERANCE = 1e-9  # the bounds' last bits may differ between machines' mathematical libraries


@dataclass(frozen=True)
class Verification:
    """What became of a certificate: verified if nothing differs. `certificate` is None if the file is damaged."""

    certificate: Certificate | None
    differences: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether every claim was confirmed."""
        return not self.differences


def verify(path: str | Path, *, data_dir: str | Path | None = None) -> Verification:
    """Check a certificate, trusting nothing in it but its bits.

    The net is rebuilt from the bits, its errors are recounted on the data set, and length, ledger and bounds are
    computed anew. No code from the file is run.

    Args:
        path: a file that `lcfs certify` wrote, whoever sent it.
        data_dir: folder of the data set, as for `lcfs.data.load`.

    Raises:
        InputError: the file cannot be read or is no certificate, or the data set is not there.
    """
    try:
        claim = Certificate.read(Path(path))
    except Damaged as error:
        return Verification(None, (str(error),))
    try:
        decoded = decode(claim.description)
    except ValueError as error:
        return Verification(claim, (f"the bits describe no net: {error}",))
    wrong = _unusable(claim, decoded)
    return Verification(claim, tuple(wrong or _differences(claim, decoded, data_dir)))


def _unusable(claim: Certificate, decoded: Decoded) -> list[str]:
    """Claims with which nothing can be computed."""
    wrong = []
    if not 0 < claim.delta < 1:
        wrong.append(f"delta is {claim.delta}, which is no probability in (0, 1)")
    if (claim.train.split, claim.test.split) != ("train", "test"):
        wrong.append(f"the samples are {claim.train.split} and {claim.test.split}, expected train and test")
    sample = claim.train
    if type(sample.data) is not str or not data.is_named(sample.data):
        return [*wrong, f"the data set {sample.data!r} is unknown; known are {', '.join(data.DATASETS)}"]
    if type(sample.validation) is not int or type(sample.seed) is not int or sample.validation < 0:
        return [*wrong, f"validation is {sample.validation!r} and seed {sample.seed!r}, expected integers"]
    return wrong


def _differences(claim: Certificate, decoded: Decoded, data_dir: str | Path | None) -> list[str]:
    train = claim.train
    full = data.load(train.data, folder=data_dir)
    if not train.validation < len(full.train) or not 0 <= train.seed < 2**32:
        return [f"validation is {train.validation:,} and seed {train.seed:,}, impossible for {train.data}"]
    dataset = data.load(train.data, folder=data_dir, validation=train.validation, seed=train.seed)
    image, classes = decoded.predictor.image, decoded.predictor.classes
    if (image, classes) != (dataset.image_shape, dataset.classes):
        seen = f"{image} in {classes} classes"
        return [f"the net takes images {seen}, {train.data} has {dataset.image_shape} in {dataset.classes}"]
    wrong = []
    for name, claimed in (("train", claim.train), ("test", claim.test)):
        sample = Sample.of(dataset, name, train.validation, train.seed)
        for field in fields(Sample):
            wrong += _compare(f"{name}.{field.name}", getattr(claimed, field.name), getattr(sample, field.name))
    if wrong:
        return wrong
    errors = count_errors(decoded, dataset.train)
    wrong += _compare("train_errors", claim.train_errors, errors)
    wrong += _compare("test_errors", claim.test_errors, count_errors(decoded, dataset.test))
    wrong += _compare("language", claim.language, decoded.language)
    wrong += _compare("ledger", claim.ledger, decoded.ledger)
    wrong += _compare_numbers("bits in", claim.language_bits, decoded.encode().language_bits)
    bounds = all_bounds(errors, claim.bits, len(dataset.train), claim.delta)
    return wrong + _compare_numbers("bound", asdict(claim.bounds), asdict(bounds))


def _compare_numbers(what: str, claimed: dict[str, float], true: dict[str, float]) -> list[str]:
    """Names and values, up to the rounding of mathematical libraries; a NaN is within no tolerance."""
    if sorted(claimed) != sorted(true):
        return [f"{what}: the certificate names {', '.join(sorted(claimed))}, expected {', '.join(sorted(true))}"]
    return [
        f"{what} {name} is claimed to be {claimed[name]}, it is {value}"
        for name, value in true.items()
        if not abs(claimed[name] - value) <= _TOLERANCE * max(value, 1)
    ]


def _compare(name: str, claimed: object, true: object) -> list[str]:
    if claimed == true:
        return []
    if isinstance(true, tuple | list):
        return [f"{name} is not what the bits and the data give"]
    return [f"{name} is claimed to be {claimed}, it is {true}"]
