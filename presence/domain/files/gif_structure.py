"""Where a GIF ends, and how large its pictures are.

Pillow decodes the pictures but does not tell a file that was cut within one from a whole one
without decoding them all, which takes it 3 s for one megabyte of a long animation; following the
blocks takes 30 ms. CompuServe, Graphics Interchange Format, version 89a.
"""

from __future__ import annotations

import struct
from typing import Any

from presence.domain.files.allowance import Allowance, Content, Damaged

# A file made of countless tiny parts would keep its reader busy. A GIF in blocks of 255 bytes, as
# every encoder makes them, has half as many as this allows.
_MAX_PARTS = 20_000
_BYTES_A_BLOCK = 128
_TRAILER, _EXTENSION, _PICTURE = 0x3B, 0x21, 0x2C


def follow(content: Content) -> tuple[tuple[int, int], int]:
    """Return what a GIF unfolds to, (width, height) in pixels, and where it ends.

    The trailer may be missing, as readers know the end of the file without it. Raises `Damaged`
    and `FileTooComplex`.
    """
    width, height, flags = _unpack("<HHB", content, 6)
    at = 13 + _colour_table(flags)
    pictures = 0
    parts = Allowance("parts", _MAX_PARTS + len(content) // _BYTES_A_BLOCK)
    while at < len(content):
        parts.take()
        kind = content[at]
        if kind == _TRAILER:
            at += 1
            break
        if kind == _EXTENSION:
            at = _after_blocks(content, at + 2, parts)
        elif kind == _PICTURE:
            left, top, own_width, own_height, flags = _unpack("<HHHHB", content, at + 1)
            width, height = max(width, left + own_width), max(height, top + own_height)
            pictures += 1
            at = _after_blocks(content, at + 11 + _colour_table(flags), parts)
        else:
            # Nothing of a GIF begins so: whatever it is, it stands behind the pictures.
            break
    if not pictures:
        raise Damaged
    return (width, height), at


def _after_blocks(content: Content, at: int, parts: Allowance) -> int:
    """Return where a GIF goes on behind the data blocks that begin at `at`."""
    while at < len(content):
        length = content[at]
        at += 1 + length
        if length == 0:
            return at
        parts.take()
    raise Damaged


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _unpack(form: str, content: Content, at: int) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(form, content, at)
    except struct.error:
        raise Damaged from None
