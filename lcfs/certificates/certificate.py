"""The certificate: bits that are a net, the sample it was trained on, its errors there, and the bounds that follow."""

import math
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

from lcfs import data
from lcfs.certificates import container
from lcfs.certificates.evidence import Sample
from lcfs.errors import brief
from lcfs.runs.atomic import write_bytes_atomically
from theory.codes import Bits
from theory.languages import Entry
from theory.verdicts import Bounds, Verdict, judge

T = TypeVar("T")
FORMAT = 2
_UNIT = 10**9  # claimed bounds are multiples of a billionth


@dataclass(frozen=True)
class Certificate:
    """With probability at least 1 − delta over the training sample, the error of the net that `description` decodes to
    is at most each of `bounds`.

    description: the net, a codeword of the prefix-free code of this package.
    language, language_bits: the language of the description, and the net's length in whole bits in every language.
    ledger: what the bits were spent on; sums to the length of the description.
    train, train_errors: the sample and the number of its images that the decoded net may get wrong.
    test, test_errors: the same for the test set, which no bound but `test_set_bound` uses.
    """

    description: Bits
    language: str
    language_bits: dict[str, int]
    ledger: tuple[Entry, ...]
    train: Sample
    train_errors: int
    test: Sample
    test_errors: int
    delta: float
    bounds: Bounds
    """As claimed: a billionth to two above what was computed, so that every machine confirms them."""

    @property
    def bits(self) -> int:
        """Description length."""
        return len(self.description)

    def verdict(self) -> Verdict:
        """Whether the tightest bound says more than guessing does. Raises InputError for an unknown data set."""
        classes = data.facts(self.train.data).classes
        return judge(self.train_errors, self.bits, self.train.images, delta=self.delta, classes=classes)

    def to_bytes(self) -> bytes:
        """The one file that says this."""
        header = asdict(self)
        del header["description"]
        return container.to_bytes({"format": FORMAT, "bits": self.bits, **header}, self.description.to_bytes())

    def write(self, path: Path) -> None:
        """One file, written atomically. Raises InputError if it cannot be written."""
        write_bytes_atomically(self.to_bytes(), path)

    @classmethod
    def read(cls, path: Path, *, most_bytes: int = container.MOST_BYTES) -> "Certificate":
        """What a file claims; nothing is checked but its form, of which there is one for every claim.

        Raises:
            InputError: the file cannot be read, is no certificate, or is larger than `most_bytes`.
            container.Damaged: it is truncated or altered, or not of this form.
        """
        content = container.read(path, most_bytes)
        header, payload = container.parts(content, path)
        if header.get("format") != FORMAT:
            raise container.Damaged(
                f"{path} has the format {header.get('format')!r:.40}, this version reads {FORMAT}; certify again"
            )
        try:
            claim = cls(
                description=Bits.from_bytes(payload, _of_type(int, header, "bits")),
                language=_of_type(str, header, "language"),
                language_bits={name: _of_type(int, header["language_bits"], name) for name in header["language_bits"]},
                ledger=tuple(_entry(entry) for entry in header["ledger"]),
                train=_sample(header["train"]),
                train_errors=_of_type(int, header, "train_errors"),
                test=_sample(header["test"]),
                test_errors=_of_type(int, header, "test_errors"),
                delta=_of_type(float, header, "delta"),
                bounds=Bounds(**{name: _of_type(float, header["bounds"], name) for name in header["bounds"]}),
            )
            canonical = claim.to_bytes() == content
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise container.Damaged(f"{path} has a header that is not a certificate's ({brief(error)})") from error
        if not canonical:
            raise container.Damaged(
                f"{path} is not written as certificates are: a key is unknown or there twice, or something is padded"
            )
        return claim


def claimed(computed: Bounds) -> Bounds:
    """Bounds as a certificate claims them: rounded up to billionths, and one more where they are below 1."""
    return Bounds(*(min((math.ceil(_UNIT * value) + 1) / _UNIT, 1.0) for value in astuple(computed)))


def _of_type(kind: type[T], fields: Any, key: str) -> T:
    if type(fields[key]) is not kind:
        raise TypeError(f"{key} is {fields[key]!r:.40}, expected {kind.__name__}")
    return fields[key]


def _sample(fields: Any) -> Sample:
    texts = {key: _of_type(str, fields, key) for key in ("data", "split", "sha256")}
    return Sample(images=_of_type(int, fields, "images"), **texts)


def _entry(fields: Any) -> Entry:
    return Entry(_of_type(str, fields, "array"), _of_type(str, fields, "item"), _of_type(int, fields, "bits"))
