"""ZIP archives as documents use them: whole, in order, and unfolding to a bounded size.

APPNOTE.TXT (PKWARE) 6.3, of which ECMA-376, part 2, allows a part.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from typing import IO

from presence.domain.files.allowance import Allowance, Appended, Damaged, is_fill
from presence.errors import FileTooComplex

# The directory of an archive is read into memory as a whole; a real document's is small.
_MAX_DIRECTORY = 4 * 1024 * 1024
_MAX_ENTRIES = 10_000
# A document of this size unfolded keeps any word processor busy.
MAX_UNFOLDED = 512 * 1024 * 1024
_CHUNK = 1024 * 1024
_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_LOCAL_HEADER_BYTES = 30
_END_RECORD_BYTES = 22
# The end record, and the longest comment behind it.
_TAIL = 65_557

Parts = dict[str, zipfile.ZipInfo]


class Allowances:
    """What the archives of one file, one within the other, may have together."""

    def __init__(self) -> None:
        self.entries = Allowance("directory entries", _MAX_ENTRIES)
        self.unfolded = Allowance("bytes unfolded", MAX_UNFOLDED)


def is_also_an_archive(file: IO[bytes]) -> bool:
    """Tell whether a program that opens ZIP archives would open this file as one."""
    end = _end_record(file)
    if end is None:
        return False
    tail, at = end
    return is_fill(tail[at + _END_RECORD_BYTES + _comment_length(tail, at) :])


def parts_of(file: IO[bytes], archive: zipfile.ZipFile, allowances: Allowances) -> Parts:
    """Return the parts of an opened archive by their names in small letters.

    Raises `Damaged` unless they lie one behind the other and stay inside it, which they do not in
    a bomb without nesting (D. Fifield, “A better zip bomb”, 2019); `Appended` and
    `FileTooComplex`.
    """
    end_record = _end_record(file)
    assert end_record is not None
    tail, at = end_record
    if not is_fill(tail[at + _END_RECORD_BYTES + _comment_length(tail, at) :]):
        raise Appended
    parts: Parts = {}
    end = 0
    for part in sorted(archive.infolist(), key=lambda part: part.header_offset):
        allowances.entries.take()
        # ZipFile takes bytes before the first part for something that is not the archive's.
        if end == 0 and part.header_offset != 0:
            raise Appended
        if part.header_offset < end:
            raise Damaged
        end = part.header_offset + _LOCAL_HEADER_BYTES + len(part.filename) + part.compress_size
        path = part.filename.lower()
        if path in parts or ".." in path.split("/") or path.startswith("/") or "\\" in path:
            raise Damaged
        if part.flag_bits & _ENCRYPTED or part.compress_type not in _METHODS:
            raise Damaged
        allowances.unfolded.take(part.file_size)
        parts[path] = part
    if end > archive.start_dir:
        raise Damaged
    return parts


def opened(file: IO[bytes]) -> zipfile.ZipFile:
    """Open an archive whose directory is not too large; raises `Damaged` and `FileTooComplex`."""
    end = _end_record(file)
    if end is None:
        raise Damaged
    tail, at = end
    size, entries = _directory_size(tail, at)
    if entries > _MAX_ENTRIES or size > _MAX_DIRECTORY:
        raise FileTooComplex("directory entries", _MAX_ENTRIES)
    file.seek(0)
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Damaged from error


def pieces(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a part unfolds to, a piece at a time; raises `Damaged` where it cannot."""
    try:
        with archive.open(part) as unfolding:
            while piece := unfolding.read(_CHUNK):
                yield piece
    except MemoryError:
        raise
    except Exception as error:
        # zipfile, and zlib below it, fail in several ways over a damaged part.
        raise Damaged from error


def _directory_size(tail: bytes, at: int) -> tuple[int, int]:
    """Return the bytes and entries of an archive's directory as its end record has them."""
    if b"PK\x06\x07" in tail:
        # The 64-bit form, which no document of this size needs.
        raise Damaged
    entries, size = struct.unpack_from("<HL", tail, at + 10)
    return size, entries


def _comment_length(tail: bytes, at: int) -> int:
    length: int = struct.unpack_from("<H", tail, at + 20)[0]
    return length


def _end_record(file: IO[bytes]) -> tuple[bytes, int] | None:
    """Return the file's tail, and where in it the end record of an archive stands."""
    length = file.seek(0, 2)
    file.seek(max(0, length - _TAIL))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    return None if at < 0 or len(tail) < at + _END_RECORD_BYTES else (tail, at)
