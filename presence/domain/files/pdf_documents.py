"""Whether a file is a PDF that readers open."""

from __future__ import annotations

import codecs
import re
import string
import struct
from typing import IO, BinaryIO, cast

import pikepdf

from presence.domain.files.allowance import Appended, Damaged, content_of, is_fill

# How far from its beginning readers look for the header (ISO 32000-1, annex H.3.4.1).
_HEADER_WITHIN = 1024
# Readers overlook what is wrong with the rest of that line.
_HEADER = re.compile(rb"%PDF")
_END = b"%%EOF"

# What a printer's job begins and ends with.
_JOB = b"\x1b%-12345X"
# What lines for people and printers are made of, without what markup and most programs need.
_PLAIN = bytes((set(string.printable.encode()) | {0x1B}) - set(b"<>{}$`|&\\"))

_APPLE_SINGLE = b"\0\5\x16\0"
_APPLE_SINGLE_HEADER = struct.Struct(">4s20xH")
_APPLE_SINGLE_ENTRY = struct.Struct(">LLL")
_DATA_FORK = 1
_MACBINARY = 128


def check(file: IO[bytes]) -> None:
    """Raise unless qpdf opens a file as a PDF, with nothing hidden before its header or behind it.

    It has a page, and where its table of objects is broken, which readers repair, also its end: a
    file that was cut can be repaired as well. One with a password is whole. Raises `Damaged` and
    `Appended`.
    """
    content = content_of(file)
    header = _HEADER.search(content[:_HEADER_WITHIN])
    if header is None:
        raise Damaged
    if not _may_stand_before(content[: header.start()]):
        raise Appended
    end = content.rfind(_END)
    if end >= 0 and not _may_stand_behind(content[end + len(_END) :]):
        raise Appended
    if not _opens(file, repaired=False) and (end < 0 or not _opens(file, repaired=True)):
        raise Damaged


def begins(head: bytes) -> bool:
    """Tell whether a file with this head begins as a PDF, though perhaps not at its first byte."""
    header = _HEADER.search(head[:_HEADER_WITHIN])
    return header is not None and _may_stand_before(head[: header.start()])


def _may_stand_before(before: bytes) -> bool:
    """Tell whether what precedes a header is what servers, printers and a Macintosh put there.

    That is fill, whole lines of plain text (a printer's ticket, a program's greeting, the headers
    of an answer), or the header of a file that a Macintosh sent as one.
    """
    rest = before.removeprefix(codecs.BOM_UTF8)
    return is_fill(rest) or _are_lines(rest) or _is_of_a_macintosh(rest)


def _may_stand_behind(behind: bytes) -> bool:
    return is_fill(behind) or (behind.lstrip().startswith(_JOB) and _are_plain(behind))


def _are_lines(part: bytes) -> bool:
    return (
        part.endswith((b"\n", b"\r")) and not part.startswith((b"#!", b"%!")) and _are_plain(part)
    )


def _are_plain(part: bytes) -> bool:
    return not part.translate(None, _PLAIN)


def _is_of_a_macintosh(part: bytes) -> bool:
    """Tell whether a part is the header of an AppleSingle file (RFC 1740), or of a MacBinary one.

    It must end where it says that the content begins.
    """
    if part.startswith(_APPLE_SINGLE) and len(part) >= _APPLE_SINGLE_HEADER.size:
        _, entries = _APPLE_SINGLE_HEADER.unpack_from(part)
        begin = _APPLE_SINGLE_HEADER.size
        table = part[begin : begin + entries * _APPLE_SINGLE_ENTRY.size]
        whole = len(table) - len(table) % _APPLE_SINGLE_ENTRY.size
        return any(
            kind == _DATA_FORK and at == len(part)
            for kind, at, _ in _APPLE_SINGLE_ENTRY.iter_unpack(table[:whole])
        )
    return len(part) == _MACBINARY and part[0] == 0 and part[65:69] == b"PDF "


def _opens(file: IO[bytes], *, repaired: bool) -> bool:
    file.seek(0)
    try:
        with pikepdf.open(cast(BinaryIO, file), attempt_recovery=repaired) as document:
            return len(document.pages) > 0
    except pikepdf.PasswordError:
        return True
    except MemoryError:
        raise
    except Exception:
        # Its reader fails in many ways over a damaged file; all of them mean the same.
        return False
