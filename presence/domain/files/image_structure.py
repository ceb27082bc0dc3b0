"""Whether a file is an image from its first byte to its last, and how many pixels it unfolds to.

Nothing is decoded: the parts of the file are followed from one length to the next. So a picture
that unfolds to gigabytes costs nothing here, and no decoder meets what a stranger has sent.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Generator
from typing import Any, NamedTuple

Content = bytes | mmap.mmap

# A file made of countless tiny parts would keep the server busy for seconds.
_MAX_PARTS = 20_000
# A GIF in blocks of 255 bytes, as every encoder makes them, has half as many as this allows.
_BYTES_A_BLOCK = 128

# What ends the compressed data of a JPEG scan: a marker that is neither a stuffed byte, nor a
# restart, nor a fill byte (ITU-T T.81, B.1.1.5).
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Start of frame: all of C0 to CF but for DHT, JPG and DAC (T.81, table B.1).
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_EOI, _JPEG_SOS = 0xD9, 0xDA


class NotAnImage(Exception):
    """The parts of the file do not make an image of its type."""


class Pixels(NamedTuple):
    """The size that an image unfolds to."""

    width: int
    height: int


def png(content: Content) -> Pixels:
    """Return the size of a PNG, which ends with its IEND chunk; raises `NotAnImage`.

    W3C, Portable Network Graphics (third edition), section 5.
    """
    size = None
    at = 8
    for _ in range(_MAX_PARTS):
        length, kind = _unpack(">L4s", content, at)
        if size is None:
            if (kind, length) != (b"IHDR", 13):
                raise NotAnImage
            size = Pixels(*_unpack(">LL", content, at + 8))
        at += 12 + length
        if kind == b"IEND":
            _ends(content, at)
            return _some(size)
    raise NotAnImage


def gif(content: Content) -> Pixels:
    """Return the size of a GIF, which ends with its trailer; raises `NotAnImage`.

    CompuServe, Graphics Interchange Format, version 89a.
    """
    width, height, flags = _unpack("<HHB", content, 6)
    at = 13 + _colour_table(flags)
    pictures = 0
    blocks = _Allowance(_MAX_PARTS + len(content) // _BYTES_A_BLOCK)
    while True:
        blocks.take()
        (kind,) = _unpack("B", content, at)
        if kind == 0x3B:
            _ends(content, at + 1)
            if not pictures:
                raise NotAnImage
            return _some(Pixels(width, height))
        if kind == 0x21:
            at = _after_blocks(content, at + 2, blocks)
        elif kind == 0x2C:
            left, top, own_width, own_height, flags = _unpack("<HHHHB", content, at + 1)
            width, height = max(width, left + own_width), max(height, top + own_height)
            pictures += 1
            at = _after_blocks(content, at + 11 + _colour_table(flags), blocks)
        else:
            raise NotAnImage


def jpeg(content: Content) -> Pixels:
    """Return the size of a JPEG, which has a frame, a scan and an end; raises `NotAnImage`.

    What follows the end is not looked at: cameras put films and further pictures there. ITU-T
    T.81, annex B.
    """
    size, scanned = None, False
    at = 2
    for _ in range(_MAX_PARTS):
        found = _JPEG_MARKER.match(content, at)
        while found is None and content[at : at + 2] == b"\xff\xff":
            at += 1  # a fill byte
            found = _JPEG_MARKER.match(content, at)
        if found is None:
            raise NotAnImage
        marker = content[at + 1]
        if marker == _JPEG_EOI:
            if size is None or not scanned:
                raise NotAnImage
            return _some(size)
        (length,) = _unpack(">H", content, at + 2)
        if marker in _JPEG_FRAMES:
            height, width = _unpack(">HH", content, at + 5)
            size = Pixels(max(width, size.width if size else 0), max(height, _height(size)))
        at += 2 + length
        if marker == _JPEG_SOS:
            scanned = True
            following = _JPEG_MARKER.search(content, at)
            if following is None:
                raise NotAnImage
            at = following.start()
    raise NotAnImage


def webp(content: Content) -> Pixels:
    """Return the size of a WebP, which ends where its RIFF header says; raises `NotAnImage`.

    RFC 9649, section 2.
    """
    (length,) = _unpack("<L", content, 4)
    if content[8:12] != b"WEBP":
        raise NotAnImage
    _ends(content, 8 + length)
    sizes = list(_webp_sizes(content, 8 + length))
    if not any(is_picture for _, is_picture in sizes):
        raise NotAnImage
    return _some(Pixels(max(s.width for s, _ in sizes), max(s.height for s, _ in sizes)))


def _webp_sizes(content: Content, end: int) -> Generator[tuple[Pixels, bool]]:
    """Yield the size that each chunk of a WebP names, and whether it holds a picture."""
    at = 12
    for _ in range(_MAX_PARTS):
        if at >= end:
            return
        kind, length = _unpack("<4sL", content, at)
        if at + 8 + length > end:
            raise NotAnImage
        if kind == b"VP8X":
            yield _two_times_24_bits(content, at + 12), False
        elif kind == b"ANMF":
            yield _two_times_24_bits(content, at + 14), True
        elif kind == b"VP8L":
            signature, bits = _unpack("<BL", content, at + 8)
            if signature != 0x2F:
                raise NotAnImage
            yield Pixels((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), True
        elif kind == b"VP8 ":
            start, width, height = _unpack("<3sHH", content, at + 11)
            if start != b"\x9d\x01\x2a":
                raise NotAnImage
            yield Pixels(width & 0x3FFF, height & 0x3FFF), True
        at += 8 + length + length % 2
    raise NotAnImage


class _Allowance:
    """How many blocks may still be followed."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self) -> None:
        """Take one; raises `NotAnImage` when there is none."""
        self._left -= 1
        if self._left < 0:
            raise NotAnImage


def _after_blocks(content: Content, at: int, blocks: _Allowance) -> int:
    """Return where a GIF goes on behind the data blocks that begin at `at`."""
    while at < len(content):
        length = content[at]
        at += 1 + length
        if length == 0:
            return at
        blocks.take()
    raise NotAnImage


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _two_times_24_bits(content: Content, at: int) -> Pixels:
    width, more_width, height, more_height = _unpack("<HBHB", content, at)
    return Pixels((width | more_width << 16) + 1, (height | more_height << 16) + 1)


def _height(size: Pixels | None) -> int:
    return size.height if size else 0


def _some(size: Pixels) -> Pixels:
    if size.width < 1 or size.height < 1:
        raise NotAnImage
    return size


def _ends(content: Content, at: int) -> None:
    """Raise `NotAnImage` unless the content ends at `at`, but for zeros that fill it up."""
    if at > len(content) or bytes(content[at:]).strip(b"\0"):
        raise NotAnImage


def _unpack(form: str, content: Content, at: int) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(form, content, at)
    except struct.error:
        raise NotAnImage from None
