"""Where the files of a data set lie, and how they get there: checksummed, and never half-written."""

import contextlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pooch

from lcfs.errors import InputError


@dataclass(frozen=True)
class DataFile:
    """One file of a data set: its name, the images in it, and its `algorithm:digest` where one is published."""

    name: str
    images: int
    checksum: str | None = None


@dataclass(frozen=True)
class Remote:
    """A file on the network with its `algorithm:digest`."""

    url: str
    checksum: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Source:
    """The files of one data set, training first and the test file last, and what to download for them.

    Attributes:
        subfolder: where the files lie below the data folder; also the folder inside the archive. "" is no subfolder.
        remotes: one archive that holds all files, or the files themselves under their own names.
        record_bytes: size of one image with its labels; None where files are compressed.
    """

    subfolder: str
    files: tuple[DataFile, ...]
    remotes: tuple[Remote, ...]
    record_bytes: int | None = None

    @property
    def archive(self) -> Remote | None:
        return self.remotes[0] if self.remotes[0].name.endswith(".tar.gz") else None


_CIFAR10_SHA256 = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
)
_CIFAR10_TEST_SHA256 = "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"
_KRIZ = "https://www.cs.toronto.edu/~kriz"
_SVHN = "http://ufldl.stanford.edu/housenumbers"  # the site has no https; the checksum is what protects
_SVHN_MD5 = {"train": "md5:e26dedcc434d2e4c54c9b2d4a06d8373", "test": "md5:eb5a983be6a315427106f1b164d9cef3"}

SOURCES: dict[str, Source] = {
    "cifar10": Source(
        "cifar-10-batches-bin",
        (
            *(DataFile(f"data_batch_{i}.bin", 10_000, f"sha256:{h}") for i, h in enumerate(_CIFAR10_SHA256, start=1)),
            DataFile("test_batch.bin", 10_000, f"sha256:{_CIFAR10_TEST_SHA256}"),
        ),
        (Remote(f"{_KRIZ}/cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530"),),
        record_bytes=1 + 3072,
    ),
    "cifar100": Source(
        "cifar-100-binary",
        (DataFile("train.bin", 50_000), DataFile("test.bin", 10_000)),
        (Remote(f"{_KRIZ}/cifar-100-binary.tar.gz", "md5:03b5dce01913d631647c71ecec9e9cb8"),),
        record_bytes=2 + 3072,
    ),
    "svhn": Source(
        "",
        (
            DataFile("train_32x32.mat", 73_257, _SVHN_MD5["train"]),
            DataFile("test_32x32.mat", 26_032, _SVHN_MD5["test"]),
        ),
        tuple(Remote(f"{_SVHN}/{split}_32x32.mat", _SVHN_MD5[split]) for split in ("train", "test")),
    ),
}


def data_folder(folder: str | Path | None) -> Path:
    """The folder asked for, else $LCFS_DATA, else the user's cache."""
    chosen = folder if folder is not None else os.environ.get("LCFS_DATA") or pooch.os_cache("lcfs")
    return Path(chosen).expanduser()


def target(name: str, root: Path) -> Path:
    """Where the files of a data set belong: `root/subfolder`, or `root` if it is that subfolder already."""
    subfolder = SOURCES[name].subfolder
    return root if root.name == subfolder else root / subfolder


def locate(name: str, root: Path) -> Path | None:
    """The first of `root/subfolder` and `root` that holds every file of the data set; None if neither does."""
    source = SOURCES[name]
    complete = (
        at for at in (root / source.subfolder, root) if all((at / file.name).is_file() for file in source.files)
    )
    return next(complete, None)


def missing(name: str, root: Path, reason: str = "") -> InputError:
    """The error for a data set that is not there: what is missing, where it was looked for, the remedy."""
    source, place = SOURCES[name], target(name, root)
    absent = [file.name for file in source.files if not ((place / file.name).is_file() or (root / file.name).is_file())]
    looked = " and ".join(dict.fromkeys((str(place), str(root))))
    urls = " and ".join(remote.url for remote in source.remotes)
    what = f"is missing {', '.join(absent)}" if absent else "has its files in two places"
    return InputError(
        f"{name} {what} (looked in {looked}{'; ' + reason if reason else ''}): get {urls}, put the "
        f"{'unpacked ' if source.archive else ''}files in {place}, or name the folder that holds them with --data-dir"
    )


def check_checksum(path: Path, checksum: str, remedy: str) -> None:
    """Raise InputError unless the file has the `algorithm:digest`."""
    algorithm, expected = checksum.split(":")
    found = pooch.file_hash(str(path), alg=algorithm)
    if found != expected:
        raise InputError(f"{path.name} in {path.parent} has {algorithm} {found}, expected {expected}; {remedy}")


def download(name: str, root: Path) -> Path:
    """Download a data set below `root` and return the folder that holds its files.

    Raises:
        InputError: no network, a checksum that differs, or a folder that cannot be written; nothing is left behind.
    """
    source, place = SOURCES[name], target(name, root)
    with _staging(place) as stage:
        for remote in source.remotes:
            _retrieve(name, remote, stage, root)
        if source.archive:
            _unpack(name, stage / source.archive.name, stage)
        _publish(name, stage, place)
    return place


def copy_folder(name: str, origin: Path, root: Path) -> Path:
    """Copy the files of a data set from the folder that holds them, and return the folder that then does."""
    place = target(name, root)
    if origin.resolve() == place.resolve():
        return place
    with _staging(place) as stage:
        for file in SOURCES[name].files:
            shutil.copyfile(origin / file.name, stage / file.name)
        _publish(name, stage, place)
    return place


def copy_archive(name: str, archive: Path, root: Path) -> Path:
    """Unpack a local copy of the data set's archive, checksummed, and return the folder that holds the files."""
    remote, place = SOURCES[name].archive, target(name, root)
    if remote is None:
        raise InputError(f"{name} has no archive, but --source is the file {archive}; name the folder that holds it")
    check_checksum(archive, remote.checksum, f"it is not {remote.name}, or incomplete: get it from {remote.url}")
    with _staging(place) as stage:
        _unpack(name, archive, stage)
        _publish(name, stage, place)
    return place


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    """A temporary folder on the file system of `place`, so that files can be renamed into it; always removed."""
    parent = place.parent if not place.exists() else place
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".lcfs-", dir=parent) as stage:
            yield Path(stage)
    except OSError as error:
        raise InputError(f"{place} cannot be written ({error}); choose another folder with --data-dir") from error
    finally:
        for folder in made:  # those that stayed empty because nothing could be had
            with contextlib.suppress(OSError):
                folder.rmdir()


def _retrieve(name: str, remote: Remote, stage: Path, root: Path) -> None:
    from requests.exceptions import RequestException  # pooch's own client; slow to import

    try:
        pooch.get_logger().setLevel("WARNING")  # lcfs says itself what it does
        pooch.retrieve(remote.url, known_hash=remote.checksum, fname=remote.name, path=stage)
    except RequestException as error:  # before ValueError: some are both
        raise missing(name, root, f"{remote.url} cannot be read: {type(error).__name__}") from error
    except ValueError as error:
        raise InputError(
            f"{remote.url} does not have the expected {remote.checksum}; the download was damaged and is discarded: "
            f'run "lcfs data {name}" again'
        ) from error


def _unpack(name: str, archive: Path, stage: Path) -> None:
    """Copy the expected members, and only those, out of the archive; paths in it are compared, never followed."""
    source = SOURCES[name]
    expected = {f"{source.subfolder}/{file.name}": file.name for file in source.files}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isreg() else None
                if stream and (file := expected.pop(member.name, None)):
                    with (stage / file).open("wb") as out:
                        shutil.copyfileobj(stream, out)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{archive} is not a readable archive ({error}); get it again") from error
    if expected:
        raise InputError(f"{archive} lacks {', '.join(expected)}; get {source.remotes[0].url}")


def _publish(name: str, stage: Path, place: Path) -> None:
    """Rename complete files into place: a reader sees a whole file or none."""
    place.mkdir(parents=True, exist_ok=True)
    for file in SOURCES[name].files:
        os.replace(stage / file.name, place / file.name)
