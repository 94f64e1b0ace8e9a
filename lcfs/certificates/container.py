"""The file that holds a certificate: readable header, bitstring, checksum; nothing in it can run."""

import hashlib
import json
from pathlib import Path
from typing import Any

from lcfs.errors import InputError
from lcfs.runs.atomic import write_bytes_atomically

MAGIC = b"lcfscert"
_LENGTH = 8  # bytes of the header's length, little-endian
_DIGEST = hashlib.sha256().digest_size


class Damaged(ValueError):
    """A certificate whose bytes are not those that were written."""


def write(path: Path, header: dict[str, Any], payload: bytes) -> None:
    """`lcfscert`, length of the header, header as JSON, payload, sha256 of all that; written atomically.

    Raises: InputError if the file cannot be written.
    """
    text = json.dumps(header, indent=1, allow_nan=False).encode()
    content = MAGIC + len(text).to_bytes(_LENGTH, "little") + text + payload
    write_bytes_atomically(content + hashlib.sha256(content).digest(), path)


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """(header, payload) of a certificate.

    Raises:
        InputError: the file cannot be read or is no certificate.
        Damaged: it is one, but truncated or altered.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the name") from error
    if not content.startswith(MAGIC):
        raise InputError(f"{path} is no certificate; name a file that lcfs certify wrote")
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    start = len(MAGIC) + _LENGTH
    if len(body) < start or hashlib.sha256(body).digest() != digest:
        raise Damaged(f"{path} is truncated or altered: its checksum does not match its content")
    end = start + int.from_bytes(body[len(MAGIC) : start], "little")
    try:
        header = json.loads(body[start:end])
    except ValueError as error:
        raise Damaged(f"{path} has a header that is not JSON") from error
    if end > len(body) or not isinstance(header, dict):
        raise Damaged(f"{path} has a header that is not an object")
    return header, body[end:]
