"""Whether a file is a picture that a decoder shows, and making one anew without what it tells.

Pillow decodes; what is asked of it is bounded here. The pixels are compared with their limit
before anything is unfolded. Of a still picture up to `DECODED_PIXELS` are decoded, of an animation
its first frames up to as many. What is larger is held to its structure: the check sums of a PNG,
the blocks of a GIF, the lengths of a WebP. A JPEG is decoded at an eighth of its size, whatever
that is, which needs a sixty-fourth of the memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import IO, Any, cast

from PIL import Image, ImageOps, ImageSequence, PngImagePlugin

from presence.domain.files import gif_structure
from presence.domain.files.allowance import Allowance, Content, Damaged, check_rest, content_of
from presence.domain.files.file_types import GIF, JPEG, PNG, WEBP, FileType
from presence.errors import FileTooComplex, ImageTooLarge

# Pillow keeps up to 20 bytes of a pixel while it decodes a WebP: a gigabyte for so many.
DECODED_PIXELS = 50_000_000
# The limits are ours: `_measure` knows of all pixels, and the file itself bounds its texts.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 1024 * 1024
_QUALITY = 90
# The longer side of a thumbnail: sharp on a screen with two pixels for one.
THUMBNAIL_PIXELS, _THUMBNAIL_QUALITY = 320, 70
_MAX_READS = 200_000
_LOSSLESS, _HEADERS = b"\xff\xc3", 1024 * 1024


def check(file: IO[bytes], kind: FileType, max_pixels: int) -> None:
    """Raise unless a decoder shows a file as a picture of this kind, and nothing stands behind it.

    `max_pixels` is what it may unfold to, 0 for any number. Raises `Damaged`, `Appended`,
    `ImageTooLarge` and `FileTooComplex`.
    """
    content = content_of(file)
    try:
        _CHECKS[kind](file, content, max_pixels)
    except (Damaged, ImageTooLarge, FileTooComplex, MemoryError):
        raise
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise Damaged from error
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        # Pillow's readers fail in these ways too over what nobody foresaw.
        raise Damaged from error


def reencode(file: IO[bytes], kind: FileType, out: IO[bytes]) -> None:
    """Write a picture that was checked anew: upright, and without place, time and camera.

    Its colours are kept (the ICC profile), and so is an animation.
    """
    with _opened(file, kind) as picture:
        profile = picture.info.get("icc_profile")
        options: dict[str, Any] = {"icc_profile": profile} if profile else {}
        if getattr(picture, "is_animated", False) and kind is not JPEG:
            frames = [frame.copy() for frame in ImageSequence.Iterator(picture)]
            options |= {
                "save_all": True,
                "append_images": frames[1:],
                "duration": [frame.info.get("duration", 0) for frame in frames],
                "loop": picture.info.get("loop", 0),
            }
            upright = frames[0]
        else:
            upright = ImageOps.exif_transpose(picture)
        # What the picture told of itself would be written again from here.
        upright.info = {
            key: upright.info[key] for key in ("transparency", "duration") if key in upright.info
        }
        if kind in (JPEG, WEBP):
            options["quality"] = _QUALITY
        upright.save(out, format=_FORMATS[kind], exif=b"", **options)


def thumbnail(file: IO[bytes], kind: FileType, out: IO[bytes]) -> None:
    """Write a small WebP of a picture, upright, of an animation its first frame.

    Raises `ImageTooLarge` before anything is unfolded that has more than `DECODED_PIXELS`, and
    `Damaged`.
    """
    try:
        source = cast(IO[bytes], _CountedReads(file)) if kind is JPEG else file
        with _opened(source, kind) as picture:
            # Only a JPEG can be decoded smaller than it is.
            picture.draft(None, (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
            _measure(picture.size, DECODED_PIXELS)
            picture.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
            upright = ImageOps.exif_transpose(picture)
            has_gaps = upright.has_transparency_data
            plain = upright.convert("RGBA" if has_gaps else "RGB")
            plain.info = {}
            plain.save(out, format="WEBP", quality=_THUMBNAIL_QUALITY, exif=b"")
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise Damaged from error


class _CountedReads:
    """A file that is read a bounded number of times.

    Pillow steps over stray bytes of a JPEG one at a time: 100 s for 16 MiB of them.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._reads = Allowance("parts", _MAX_READS)
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; raises `FileTooComplex`."""
        self._reads.take()
        return self._file.read(size)


def _jpeg(file: IO[bytes], content: Content, max_pixels: int) -> None:
    with _opened(cast(IO[bytes], _CountedReads(file)), JPEG) as picture:
        _measure(picture.size, max_pixels)
        picture.draft(None, (1, 1))
        try:
            picture.load()
        except OSError:
            # One without loss has no eighths (ITU-T T.81, annex H).
            if content.find(_LOSSLESS, 0, _HEADERS) < 0:
                raise
            _decode(file, JPEG)


def _png(file: IO[bytes], content: Content, max_pixels: int) -> None:
    with _opened(file, PNG) as picture:
        _measure(picture.size, max_pixels)
        picture.verify()  # all check sums, up to the length and name of IEND
        end = file.tell() + 4
    check_rest(content, end)
    _decode(file, PNG)


def _gif(file: IO[bytes], content: Content, max_pixels: int) -> None:
    size, end = gif_structure.follow(content)
    _measure(size, max_pixels)
    check_rest(content, end)
    _decode(file, GIF)


def _webp(file: IO[bytes], content: Content, max_pixels: int) -> None:
    """Decode a WebP, which ends where its RIFF header says (RFC 9649, section 2.3)."""
    (length,) = struct.unpack_from("<L", content, 4)
    if content[12:16] == b"VP8X":
        # Its canvas is allocated when the file is opened.
        width, more_width, height, more_height = struct.unpack_from("<HBHB", content, 24)
        _measure((width + (more_width << 16) + 1, height + (more_height << 16) + 1), max_pixels)
    check_rest(content, 8 + length)
    with _opened(file, WEBP) as picture:
        _measure(picture.size, max_pixels)
    _decode(file, WEBP)


def _decode(file: IO[bytes], kind: FileType) -> None:
    """Let Pillow decode the first frames, as many as are not too much."""
    with _opened(file, kind) as picture:
        frame, left = 0, DECODED_PIXELS
        while (left := left - picture.width * picture.height) >= 0:
            picture.load()
            frame += 1
            try:
                picture.seek(frame)
            except EOFError:
                return


def _opened(file: IO[bytes], kind: FileType) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=[_FORMATS[kind]])


def _measure(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise Damaged
    if max_pixels and width * height > max_pixels:
        raise ImageTooLarge(width, height, max_pixels)


_FORMATS = {JPEG: "JPEG", PNG: "PNG", GIF: "GIF", WEBP: "WEBP"}
_CHECKS: dict[FileType, Callable[[IO[bytes], Content, int], None]] = {
    JPEG: _jpeg,
    PNG: _png,
    GIF: _gif,
    WEBP: _webp,
}
