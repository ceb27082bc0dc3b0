"""Which types of file may be uploaded, and what their names may end with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

ACCEPTED = "JPEG, PNG, GIF, WebP, PDF, DOC, DOCX and TXT"
# Names are looked at no further than this; what is shown of one is shorter (see `files`).
MAX_NAME = 4096


@dataclass(frozen=True, slots=True)
class FileType:
    """An accepted type: the extension it is stored with and the type it is served as.

    ``called`` is what sentences call one file of it.
    """

    extension: str
    content_type: str
    called: str
    is_image: bool = False


JPEG = FileType(".jpg", "image/jpeg", "a JPEG picture", is_image=True)
PNG = FileType(".png", "image/png", "a PNG picture", is_image=True)
GIF = FileType(".gif", "image/gif", "a GIF picture", is_image=True)
WEBP = FileType(".webp", "image/webp", "a WebP picture", is_image=True)
PDF = FileType(".pdf", "application/pdf", "a PDF document")
DOC = FileType(".doc", "application/msword", "a Word 97–2003 document")
DOCX = FileType(
    ".docx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "a Word document",
)
TXT = FileType(".txt", "text/plain", "a text")

_BY_EXTENSION = {kind.extension: kind for kind in (JPEG, PNG, GIF, WEBP, PDF, DOC, DOCX, TXT)}
# As browsers and cameras also name a JPEG (the extensions that Chromium knows of image/jpeg).
_BY_EXTENSION |= dict.fromkeys((".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp"), JPEG)
CONTENT_TYPES = tuple(dict.fromkeys(kind.content_type for kind in _BY_EXTENSION.values()))
IMAGE_TYPES = {kind.content_type for kind in _BY_EXTENSION.values() if kind.is_image}
BY_STORED_EXTENSION = {kind.extension: kind for kind in _BY_EXTENSION.values()}


def extension_of(filename: str) -> str:
    """Return the extension of a client's file name, in small letters with its dot, or nothing.

    Full stops and spaces at the end are no part of a name, as Windows has it.
    """
    base = filename[-MAX_NAME:].replace("\\", "/").rsplit("/", 1)[-1].rstrip(". ")
    return PurePosixPath(base).suffix.lower()


def by_extension(extension: str) -> FileType | None:
    """Return the type that an extension stands for, or None."""
    return _BY_EXTENSION.get(extension)
