"""Which files may be uploaded: the content decides, and must be what the name's extension says."""

from __future__ import annotations

import codecs
import io
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from presence.domain.files import image_structure, word_documents
from presence.domain.files.image_structure import Content, NotAnImage, Pixels
from presence.errors import FileTypeRefused, ImageTooLarge

ACCEPTED = "JPEG, PNG, GIF, WebP, PDF, DOC, DOCX and TXT"
_CHUNK = 64 * 1024
# How much of an unknown extension an answer repeats.
_SHOWN = 16
# Where a PDF must end for its readers to find its beginning (ISO 32000-1, 7.5.5 and annex H.3).
_PDF_TAIL = 1024


@dataclass(frozen=True, slots=True)
class FileType:
    """An accepted type: the extension it is stored with and the type it is served as."""

    extension: str
    content_type: str
    is_image: bool = False


JPEG = FileType(".jpg", "image/jpeg", is_image=True)
PNG = FileType(".png", "image/png", is_image=True)
GIF = FileType(".gif", "image/gif", is_image=True)
WEBP = FileType(".webp", "image/webp", is_image=True)
PDF = FileType(".pdf", "application/pdf")
DOC = FileType(".doc", "application/msword")
DOCX = FileType(".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
TXT = FileType(".txt", "text/plain")

_BY_EXTENSION = {kind.extension: kind for kind in (JPEG, PNG, GIF, WEBP, PDF, DOC, DOCX, TXT)}
_BY_EXTENSION[".jpeg"] = JPEG
CONTENT_TYPES = tuple(dict.fromkeys(kind.content_type for kind in _BY_EXTENSION.values()))
IMAGE_TYPES = {kind.content_type for kind in _BY_EXTENSION.values() if kind.is_image}


def detect(file: IO[bytes], filename: str, *, max_pixels: int = 0) -> FileType:
    """Return the type of an uploaded file whose client calls it `filename`.

    Reads `file` from its start. Raises `FileTypeRefused` when the name has no accepted extension
    or the content is not what the extension says, and `ImageTooLarge` for an image that unfolds
    to more than `max_pixels` (0 for any number).
    """
    extension = PurePosixPath(filename.replace("\\", "/")).suffix.lower()
    kind = _BY_EXTENSION.get(extension)
    if kind is None:
        named = f"“{_shortened(extension)}” files" if extension else "A file without an extension"
        verb = "are" if extension else "is"
        raise FileTypeRefused(f"{named} {verb} not accepted. Send {ACCEPTED}.")
    file.seek(0)
    head = file.read(16)
    if not head:
        raise FileTypeRefused("The file is empty. Send one with content.")
    size = None
    if kind.is_image:
        size = _pixels(kind, file, head)
        is_kind = size is not None
    else:
        is_kind = _CHECKS[kind](file, head)
    if not is_kind:
        raise FileTypeRefused(
            f"The content of this file is not what its extension “{extension}” says."
            + _HINTS.get(kind, "")
        )
    if kind is not DOCX and word_documents.is_also_an_archive(file):
        raise FileTypeRefused(
            "The file is an archive as well as what its extension says. Send it without what is "
            "hidden in it."
        )
    if size is not None and max_pixels and size.width * size.height > max_pixels:
        raise ImageTooLarge(size.width, size.height, max_pixels)
    return kind


def _pixels(kind: FileType, file: IO[bytes], head: bytes) -> Pixels | None:
    """Return the size of an image, or None for what is no image of this kind."""
    signatures, measure = _IMAGES[kind]
    if not head.startswith(signatures):
        return None
    try:
        return measure(_content(file))
    except NotAnImage:
        return None


def _content(file: IO[bytes]) -> Content:
    """Return all that is in a file, without reading what nobody looks at."""
    try:
        descriptor = file.fileno()
    except io.UnsupportedOperation:
        file.seek(0)
        return file.read()
    file.flush()
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)


def _is_pdf(file: IO[bytes], head: bytes) -> bool:
    """A PDF with nothing before its header and next to nothing behind its end."""
    if not head.startswith(b"%PDF-"):
        return False
    length = file.seek(0, 2)
    file.seek(max(0, length - _PDF_TAIL))
    return b"%%EOF" in file.read()


def _is_text(file: IO[bytes], _head: bytes) -> bool:
    """Valid UTF-8 without a NUL, which no text has and most binary files do."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while chunk := file.read(_CHUNK):
            if b"\0" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _shortened(extension: str) -> str:
    return extension if len(extension) <= _SHOWN else extension[:_SHOWN] + "…"


_IMAGES: dict[FileType, tuple[tuple[bytes, ...], Callable[[Content], Pixels]]] = {
    JPEG: ((b"\xff\xd8\xff",), image_structure.jpeg),
    PNG: ((b"\x89PNG\r\n\x1a\n",), image_structure.png),
    GIF: ((b"GIF87a", b"GIF89a"), image_structure.gif),
    WEBP: ((b"RIFF",), image_structure.webp),
}
_CHECKS: dict[FileType, Callable[[IO[bytes], bytes], bool]] = {
    PDF: _is_pdf,
    DOC: word_documents.is_doc,
    DOCX: word_documents.is_docx,
    TXT: _is_text,
}
_DAMAGED = " It is damaged, or something was appended to it; save it anew and send it again."
_HINTS = {
    TXT: " Text must be UTF-8; save it as such.",
    **dict.fromkeys((PNG, GIF, WEBP, JPEG, PDF), _DAMAGED),
}
