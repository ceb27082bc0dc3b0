"""Which files may be uploaded: the content decides, and must be what the name's extension says."""

from __future__ import annotations

import codecs
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

import olefile

from presence.errors import FileTypeRefused

ACCEPTED = "JPEG, PNG, GIF, WebP, PDF, DOC, DOCX and TXT"
_CHUNK = 64 * 1024
# The directory of a ZIP archive is read into memory as a whole; a real document's is small.
_MAX_ZIP_DIRECTORY = 1024 * 1024


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


def detect(file: IO[bytes], filename: str) -> FileType:
    """Return the type of an uploaded file whose client calls it `filename`.

    Reads `file` from its start. Raises `FileTypeRefused` when the name has no accepted extension
    or the content is not what the extension says.
    """
    extension = PurePosixPath(filename.replace("\\", "/")).suffix.lower()
    kind = _BY_EXTENSION.get(extension)
    if kind is None:
        named = f"“{extension}” files" if extension else "A file without an extension"
        verb = "are" if extension else "is"
        raise FileTypeRefused(f"{named} {verb} not accepted. Send {ACCEPTED}.")
    file.seek(0)
    head = file.read(16)
    if not head:
        raise FileTypeRefused("The file is empty. Send one with content.")
    if not _CHECKS[kind](file, head):
        hint = " Text must be UTF-8; save it as such." if kind is TXT else ""
        raise FileTypeRefused(
            f"The content of this file is not what its extension “{extension}” says.{hint}"
        )
    return kind


def _starts_with(*signatures: bytes) -> Callable[[IO[bytes], bytes], bool]:
    return lambda _file, head: head.startswith(signatures)


def _is_webp(_file: IO[bytes], head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


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


def _is_doc(file: IO[bytes], head: bytes) -> bool:
    """An OLE compound file that holds a Word document and no macros ([MS-DOC], section 2.1)."""
    if not head.startswith(olefile.MAGIC):
        return False
    file.seek(0)
    try:
        with olefile.OleFileIO(file) as ole:
            return ole.exists("WordDocument") and not ole.exists("Macros")
    except Exception:
        # A damaged directory makes the reader fail in many ways; all of them mean "not a document".
        return False


def _is_docx(file: IO[bytes], head: bytes) -> bool:
    """A ZIP archive with the parts of a Word document and no macros (ECMA-376, part 2)."""
    if not head.startswith(b"PK\x03\x04") or _zip_directory_size(file) > _MAX_ZIP_DIRECTORY:
        return False
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            names = {name.lower() for name in archive.namelist()}
    except Exception:
        # As above: the many ways in which a damaged archive fails all mean the same.
        return False
    return {"[content_types].xml", "word/document.xml"} <= names and not any(
        name.endswith("vbaproject.bin") for name in names
    )


def _zip_directory_size(file: IO[bytes]) -> int:
    """Return the size of a ZIP archive's directory as its end record gives it (APPNOTE 4.3.16)."""
    length = file.seek(0, 2)
    file.seek(max(0, length - 65_557))  # the record, and the longest comment behind it
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22 or b"PK\x06\x07" in tail:
        # No end record, or the 64-bit form, which no document of this size needs.
        return _MAX_ZIP_DIRECTORY + 1
    size: int = struct.unpack_from("<L", tail, at + 12)[0]
    return size


_CHECKS: dict[FileType, Callable[[IO[bytes], bytes], bool]] = {
    JPEG: _starts_with(b"\xff\xd8\xff"),
    PNG: _starts_with(b"\x89PNG\r\n\x1a\n"),
    GIF: _starts_with(b"GIF87a", b"GIF89a"),
    WEBP: _is_webp,
    PDF: _starts_with(b"%PDF-"),
    DOC: _is_doc,
    DOCX: _is_docx,
    TXT: _is_text,
}
