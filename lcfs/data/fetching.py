"""Putting the files of a data set in their folder, and checking what lies there."""

from dataclasses import dataclass
from pathlib import Path

from lcfs.data import download as downloads
from lcfs.data import signals
from lcfs.data.download import SOURCES, DataFile
from lcfs.data.formats import read, remedy
from lcfs.data.names import NAMED, check_name


@dataclass(frozen=True)
class VerifiedFile:
    """A file that holds what it should; `checksum` is the published `algorithm:digest` it has, if there is one."""

    path: Path
    images: int
    checksum: str | None

    def __str__(self) -> str:
        compared = f"{self.checksum.split(':')[0]} as published" if self.checksum else "no published checksum"
        return f"{self.path}: {self.images:,} images, labels in range, {compared}"


def fetch(name: str, folder: str | Path | None = None, source: str | Path | None = None) -> Path:
    """Put a verified data set in the folder and return where its files lie.

    Args:
        name: one of `DATASETS`; digits comes with scikit-learn and signals are computed, so nothing is fetched.
        folder: where to put it; by default $LCFS_DATA, then the user's cache.
        source: a local folder, or the data set's archive, to take it from instead of the network.

    Raises:
        InputError: an unknown name, a missing or damaged source, or no network; the folder is then as before.
    """
    check_name(name)
    if name.startswith("signals"):
        return Path(signals.__file__)
    if name == "digits":
        import sklearn.datasets

        return Path(sklearn.datasets.__file__).parent / "data"
    root = downloads.data_folder(folder)
    if source is not None:
        return _take(name, Path(source).expanduser(), root)
    place = downloads.locate(name, root) or downloads.download(name, root)
    verify(name, place)
    return place


def verify(name: str, folder: str | Path | None = None) -> list[VerifiedFile]:
    """Check size, labels and published checksum of every file of a data set; signals and digits have none of ours: [].

    Raises:
        InputError: the first file that is missing or is not what it should be.
    """
    check_name(name)
    if name not in SOURCES:
        return []
    root = downloads.data_folder(folder)
    place = downloads.locate(name, root)
    if place is None:
        raise downloads.missing(name, root)
    return [_verify_file(name, place, file) for file in SOURCES[name].files]


def _take(name: str, source: Path, root: Path) -> Path:
    if source.is_file():
        return downloads.copy_archive(name, source, root)
    origin, archive = downloads.locate(name, source), SOURCES[name].archive
    if origin is not None:
        verify(name, origin)
        return downloads.copy_folder(name, origin, root)
    if archive is not None and (source / archive.name).is_file():
        return downloads.copy_archive(name, source / archive.name, root)
    raise downloads.missing(name, source)


def _verify_file(name: str, place: Path, file: DataFile) -> VerifiedFile:
    _, labels = read(name, place, file, NAMED[name].classes)
    if file.checksum:
        downloads.check_checksum(place / file.name, file.checksum, remedy(name))
    return VerifiedFile(place / file.name, len(labels), file.checksum)
