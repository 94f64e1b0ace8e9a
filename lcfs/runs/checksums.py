"""Checksums of a checkpoint: torch stores one of every tensor, and reads without comparing them."""

import zipfile
from pathlib import Path

from lcfs.errors import InputError, reason


def check_checksums(path: Path) -> None:
    """Compare every member of a checkpoint that torch has written with its CRC-32.

    Raises:
        InputError: it is no zip file any more, or a member is not what was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.testzip()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        why = reason(error)
        raise InputError(f"{path} is damaged or no checkpoint ({why})") from error
    if member is not None:
        raise InputError(f"{path} is damaged: the checksum of {member} is not the one that was written with it")
