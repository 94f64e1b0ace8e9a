"""Members of a zip archive: found strictly, checked against their CRC, unpacked within limits."""

import struct
import zipfile
import zlib
from typing import IO, Any, cast

from torch import Tensor

from lcfs.reading.opening import Opened, Window
from lcfs.reading.storages import from_bytes
from lcfs.reading.values import MalformedError

_MOST_MEMBERS = 1 << 20
_RATIO, _ROOM = 100, 1 << 26  # unpacked members may hold this many times the file's size, and this more
_PIECE = 1 << 24
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_ENCRYPTED, _PATCHED, _MASKED = 1 << 0, 1 << 5, 1 << 13


class Archive:
    """A zip archive in a mapped file.

    Raises: MalformedError for a damaged directory, members of one name, with a password, or that overlap.
    """

    def __init__(self, opened: Opened) -> None:
        self._content = opened.content
        try:
            members = zipfile.ZipFile(cast(IO[bytes], Window(opened.content))).infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, LookupError, struct.error) as error:
            raise MalformedError(f"its zip directory is damaged ({str(error)[:60]})") from None
        if len(members) > _MOST_MEMBERS:
            raise MalformedError(f"its zip directory has {len(members):,} members")
        self._members = {member.filename: member for member in members}
        if len(self._members) < len(members):
            raise MalformedError("two members of its zip archive have the same name")
        unpacked = sum(member.file_size for member in members)
        if unpacked > _RATIO * len(opened.content) + _ROOM:
            raise MalformedError(f"its zip archive unpacks to {unpacked:,} bytes, more than a checkpoint of its size")
        self._unchecked = all(member.CRC == 0 for member in members)  # torch.serialization.set_crc32_options(False)
        self._starts = self._checked_starts(members)

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def member(self, name: str) -> Tensor:
        """A member's bytes as a flat tensor: the file's own where it is stored as it is, unpacked where deflated.

        Raises: MalformedError if there is none, or its bytes are not those that were written.
        """
        if name not in self._members:
            raise MalformedError(f"its member {name[:80]!r} is missing")
        found, start = self._members[name], self._starts[name]
        if found.compress_type == zipfile.ZIP_STORED:
            content = from_bytes(self._content, start, found.file_size)
        else:
            packed = memoryview(self._content)[start : start + found.compress_size]
            content = from_bytes(_inflated(packed, found.file_size, name))
        if not self._unchecked and _crc(content) != found.CRC:
            raise MalformedError(f"its member {name[:80]!r} is not as it was written (its checksum differs)")
        return content

    def text(self, name: str, most: int = 1 << 30) -> bytes:
        """The same as bytes, for members that are small."""
        if name in self._members and self._members[name].file_size > most:
            raise MalformedError(f"its member {name[:80]!r} has {self._members[name].file_size:,} bytes")
        return self.member(name).numpy().tobytes()

    def _checked_starts(self, members: list[zipfile.ZipInfo]) -> dict[str, int]:
        """Where the bytes of each member begin, by its local header, which must agree with the directory."""
        starts: dict[str, int] = {}
        end = 0
        for member in sorted(members, key=lambda member: member.header_offset):
            name = member.filename
            if member.flag_bits & (_ENCRYPTED | _PATCHED | _MASKED):
                raise MalformedError(f"its member {name[:80]!r} is encrypted")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise MalformedError(f"its member {name[:80]!r} is packed by a method other than deflate")
            if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
                raise MalformedError(f"its member {name[:80]!r} has two sizes")
            at = member.header_offset
            if at < end or at + _LOCAL.size > len(self._content):
                raise MalformedError(f"its member {name[:80]!r} overlaps another")
            magic, _, flags, method, *_, written, extra = _LOCAL.unpack(self._content[at : at + _LOCAL.size])
            start = at + _LOCAL.size + written + extra
            local = self._content[at + _LOCAL.size : at + _LOCAL.size + written]
            encoded = member.orig_filename.encode("utf-8" if member.flag_bits & 0x800 else "cp437", "replace")
            if magic != b"PK\x03\x04" or method != member.compress_type or flags & _ENCRYPTED or local != encoded:
                raise MalformedError(f"its member {name[:80]!r} has another header than the directory says")
            end = start + member.compress_size
            if end > len(self._content):
                raise MalformedError(f"its member {name[:80]!r} ends behind the end of the file")
            starts[name] = start
        return starts


def _inflated(packed: memoryview, size: int, name: str) -> bytearray:
    """Unpacked bytes, of which there must be `size`; never more are made."""
    unpacked, engine = bytearray(), zlib.decompressobj(-15)
    try:
        for begin in range(0, len(packed), _PIECE):
            piece: bytes = bytes(packed[begin : begin + _PIECE])
            while piece and len(unpacked) <= size:
                unpacked += engine.decompress(piece, min(_PIECE, size + 1 - len(unpacked)))
                piece = engine.unconsumed_tail
    except zlib.error as error:
        raise MalformedError(f"its member {name[:80]!r} cannot be unpacked ({error})") from None
    if len(unpacked) != size:
        raise MalformedError(f"its member {name[:80]!r} does not unpack to the {size:,} bytes that it promises")
    return unpacked


def _crc(content: Tensor) -> int:
    found, view = 0, memoryview(cast(Any, content.numpy()))
    for begin in range(0, len(view), _PIECE):
        found = zlib.crc32(view[begin : begin + _PIECE], found)
    return found
