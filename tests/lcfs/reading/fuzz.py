"""Mutated files by the hundred thousand: none may end in anything but tensors or an InputError.

Command: make fuzz, or python tests/lcfs/reading/fuzz.py [--mutations N] [--seed S]. Every file of the corpus is cut,
overwritten, shuffled, spliced with others, and its zip members and pickles are mutated beneath valid checksums, so that
what is behind them is reached. All that is read is counted, which touches every byte. The memory of the process is
limited to a gibibyte more than it begins with; a signal or any other exception ends it with a non-zero exit code.
"""

import argparse
import io
import random
import resource
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import corpus

from lcfs.analysis.counts import summarize_state
from lcfs.errors import InputError
from lcfs.reading import load_state

_ROOM = 1 << 30
_LARGEST = 1 << 17  # bytes of a file worth mutating
_OPCODES = (
    b"(0.1234IJKLMNRQSTUVXabcdeghijlopqrstu)]}\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8c\x8d\x8e\x90\x91\x92\x93\x94\x96"
)


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Some bytes with a few changes."""
    content = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(content) + 1)
        kind = chance.randrange(8)
        if kind == 0:
            del content[at : at + chance.choice((1, 4, 64, 1 << 20))]
        elif kind == 1:
            content[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 2:
            content[at:at] = bytes([chance.choice(_OPCODES)])
        elif kind == 3:
            width = chance.choice((1, 2, 4, 8))
            content[at : at + width] = (
                chance.choice((0, 1, 255, (1 << 8 * width) - 1, 1 << 8 * width - 1)).to_bytes(width, "little")
                if width > 1
                else b"\xff"
            )
        elif kind == 4 and content:
            begin = chance.randrange(len(content))
            content[at:at] = content[begin : begin + chance.randrange(64)]
        elif kind == 5:
            other = chance.choice(others)
            begin = chance.randrange(len(other))
            content[at:at] = other[begin : begin + chance.randrange(256)]
        elif kind == 6 and content:
            content[at % len(content)] ^= 1 << chance.randrange(8)
        else:
            content[at : at + 1] = bytes([chance.choice(_OPCODES)])
    return bytes(content)


def with_mutated_member(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A zip archive of which one member is mutated and has the checksum of what it now is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        members = old.infolist()
        pickles = [i for i, member in enumerate(members) if member.filename.endswith(".pkl")]
        chosen = chance.choice(pickles) if pickles and chance.random() < 0.8 else chance.randrange(len(members))
        for index, member in enumerate(members):
            content = old.read(member)
            new.writestr(member.filename, mutated(content, others, chance) if index == chosen else content)
    return buffer.getvalue()


def seeds(folder: Path) -> list[bytes]:
    """The files of the corpus, both those that are read and those that are refused."""
    found = []
    for case in (*corpus.READABLE, *corpus.DAMAGED):
        path = folder / "seed"
        case.write(path)
        if 0 < path.stat().st_size <= _LARGEST:
            found.append(path.read_bytes())
    return found


def fuzz(mutations: int, seed: int, folder: Path) -> tuple[int, int]:
    """(files read, files refused) of so many mutated ones."""
    chance, originals = random.Random(seed), seeds(folder)
    zips = [data for data in originals if zipfile.is_zipfile(io.BytesIO(data)) and _is_sound(data)]
    read = refused = 0
    path = folder / "mutated"
    for _ in range(mutations):
        if chance.random() < 0.5:
            path.write_bytes(with_mutated_member(chance.choice(zips), originals, chance))
        else:
            path.write_bytes(mutated(chance.choice(originals), originals, chance))
        try:
            summarize_state(load_state(path))
            read += 1
        except InputError as error:
            refused += 1
            if "\n" in str(error):
                raise ValueError(f"more than a line: {error}") from error
    return read, refused


def _is_sound(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return bool(archive.infolist()) and archive.testzip() is None
    except Exception:  # one of those that are damaged on purpose
        return False


def main() -> None:
    """Mutate, and print how many files were read and refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        summarize_state({})  # starts threads
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, used + _ROOM))
        read, refused = fuzz(arguments.mutations, arguments.seed, Path(folder))
    print(f"{read + refused:,} mutated files: {read:,} read, {refused:,} refused; {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
