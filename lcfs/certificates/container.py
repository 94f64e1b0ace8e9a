"""The file that holds a certificate: readable header, bitstring, checksum; nothing in it can run."""

import hashlib
import json
from pathlib import Path
from typing import Any

from lcfs.errors import InputError

MAGIC = b"lcfscert"
_LENGTH = 8  # bytes of the header's length, little-endian
_MOST_HEADER_BYTES = 1 << 20
MOST_BYTES = 1 << 28
"""Bytes of a file that are read at the most, unless more are asked for."""
_DIGEST = hashlib.sha256().digest_size


class Damaged(ValueError):
    """A certificate whose bytes are not those that were written."""


def to_bytes(header: dict[str, Any], payload: bytes) -> bytes:
    """`lcfscert`, length of the header, header as JSON, payload, sha256 of all that."""
    text = json.dumps(header, indent=1, allow_nan=False).encode()
    content = MAGIC + len(text).to_bytes(_LENGTH, "little") + text + payload
    return content + hashlib.sha256(content).digest()


def read(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """A file that begins as certificates do.

    Raises: InputError if it cannot be read, does not, or has more than `most_bytes` bytes.
    """
    try:
        with path.open("rb") as handle:
            content = handle.read(most_bytes + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the name") from error
    if not content.startswith(MAGIC):
        raise InputError(f"{path} is no certificate; name a file that lcfs certify wrote")
    if len(content) > most_bytes:
        raise InputError(
            f"{path} has more than {most_bytes:,} bytes, more than a net of the size allowed needs; if you trust its "
            "sender, allow more with --most-weights"
        )
    return content


def parts(content: bytes, path: Path) -> tuple[dict[str, Any], bytes]:
    """(header, payload) of a certificate. Raises Damaged if it is truncated or altered."""
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    start = len(MAGIC) + _LENGTH
    if len(body) < start or hashlib.sha256(body).digest() != digest:
        raise Damaged(f"{path} is truncated or altered: its checksum does not match its content")
    end = start + int.from_bytes(body[len(MAGIC) : start], "little")
    if end > len(body) or end - start > _MOST_HEADER_BYTES:
        raise Damaged(f"{path} has a header of {end - start:.3g} bytes, which no certificate has")
    try:
        header = json.loads(body[start:end])
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} has a header that is not JSON") from error
    if not isinstance(header, dict):
        raise Damaged(f"{path} has a header that is not an object")
    return header, body[end:]
