"""The certificate: bits that are a net, the sample it was trained on, its errors there, and the bounds that follow."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lcfs import data
from lcfs.certificates import container
from lcfs.certificates.evidence import Sample
from theory.codes import Bits
from theory.languages import Entry
from theory.verdicts import Bounds, Verdict, judge

FORMAT = 1


@dataclass(frozen=True)
class Certificate:
    """With probability at least 1 − delta over the training sample, the error of the net that `description` decodes to
    is at most each of `bounds`.

    description: the net, a codeword of the prefix-free code of this package.
    language, language_bits: the language of the description, and the net's length in bits in every language.
    ledger: what the bits were spent on; sums to the length of the description.
    train, train_errors: the sample and the number of its images that the decoded net gets wrong.
    test, test_errors: the same for the test set, which no bound but `test_set_bound` uses.
    """

    description: Bits
    language: str
    language_bits: dict[str, float]
    ledger: tuple[Entry, ...]
    train: Sample
    train_errors: int
    test: Sample
    test_errors: int
    delta: float
    bounds: Bounds

    @property
    def bits(self) -> int:
        """Description length."""
        return len(self.description)

    def verdict(self) -> Verdict:
        """Whether the tightest bound says more than guessing does. Raises InputError for an unknown data set."""
        classes = data.facts(self.train.data).classes
        return judge(self.train_errors, self.bits, self.train.images, delta=self.delta, classes=classes)

    def write(self, path: Path) -> None:
        """One file, written atomically. Raises InputError if it cannot be written."""
        header = asdict(self)
        del header["description"]
        container.write(path, {"format": FORMAT, "bits": self.bits, **header}, self.description.to_bytes())

    @classmethod
    def read(cls, path: Path) -> "Certificate":
        """What a file claims; nothing is checked but its form.

        Raises:
            InputError: the file cannot be read or is no certificate.
            container.Damaged: it is truncated or altered, or not of this form.
        """
        header, payload = container.read(path)
        if header.get("format") != FORMAT:
            raise container.Damaged(f"{path} has the format {header.get('format')!r}, this version reads {FORMAT}")
        try:
            return cls(
                description=Bits.from_bytes(payload, _number(header, "bits")),
                language=str(header["language"]),
                language_bits={str(name): float(bits) for name, bits in header["language_bits"].items()},
                ledger=tuple(Entry(**entry) for entry in header["ledger"]),
                train=Sample(**header["train"]),
                train_errors=_number(header, "train_errors"),
                test=Sample(**header["test"]),
                test_errors=_number(header, "test_errors"),
                delta=float(header["delta"]),
                bounds=Bounds(**{name: float(value) for name, value in header["bounds"].items()}),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise container.Damaged(f"{path} has a header that is not a certificate's ({error})") from error


def _number(header: dict[str, Any], key: str) -> int:
    if type(header[key]) is not int:
        raise TypeError(f"{key} is {header[key]!r}, expected an integer")
    return header[key]
