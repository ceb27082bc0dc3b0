"""What a file is by its content, to tell somebody whose file is not what its name says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO

from presence.domain.files import compound_files, embedded, pdf_documents, texts, zip_archives
from presence.domain.files.allowance import Damaged
from presence.domain.files.file_types import (
    DOC,
    DOCX,
    GIF,
    JPEG,
    PDF,
    PNG,
    TXT,
    WEBP,
    FileType,
)

_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Other:
    """A type that is not accepted: what one of it is called, and what to do instead."""

    called: str
    instead: str


_PICTURE = "Save it as JPEG or PNG, and send that."
_DOCUMENT = "Save it as DOCX or PDF, and send that."
_PHONE = (
    "Send it as JPEG; on an iPhone choose Settings › Camera › Formats › Most Compatible, or share "
    "the picture by mail."
)
PASSWORD = Other(
    "a document protected with a password, which nobody can look into",
    "Save it without the password, and send it again.",
)
_PROGRAM = Other("a program", "Programs are not accepted; put what it is about into a document.")
_ARCHIVE = Other("an archive", "Send the files in it one by one.")
_PAGE = Other("a web page", "Print it as a PDF, or send its text as TXT.")
_FILM = Other("a film or a sound", "Send a link to it, or a picture of it.")

_WORKBOOK = Other("an Excel workbook", "Save it as PDF, and send that.")
_PRESENTATION = Other("a PowerPoint presentation", "Save it as PDF, and send that.")
# What the parts of Office's documents are declared as.
_OFFICE: dict[bytes, FileType | Other] = {
    b"wordprocessingml": DOCX,
    b"ms-word": DOCX,
    b"spreadsheetml": _WORKBOOK,
    b"presentationml": _PRESENTATION,
}

_SIGNATURES: tuple[tuple[re.Pattern[bytes], FileType | Other], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\xff\xd8\xff", JPEG),
        (rb"\x89PNG\r\n\x1a\n", PNG),
        (rb"GIF8[79]a", GIF),
        (rb"RIFF....WEBP", WEBP),
        (rb"\{\\rtf", Other("an RTF document", _DOCUMENT)),
        (rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)", Other("a HEIC picture", _PHONE)),
        (rb"....ftypavi[fs]", Other("an AVIF picture", _PICTURE)),
        (rb"....ftyp|RIFF....(AVI |WAVE)|ID3|OggS|\x1aE\xdf\xa3|fLaC", _FILM),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", Other("a JPEG XL picture", _PICTURE)),
        (rb"\0\0\0\x0cjP  ", Other("a JPEG 2000 picture", _PICTURE)),
        (rb"II\*\0|MM\0\*", Other("a TIFF picture, or a camera's raw one", _PICTURE)),
        (rb"8BPS", Other("a Photoshop file", _PICTURE)),
        (rb"BM.{4}\0\0\0\0", Other("a BMP picture", _PICTURE)),
        (rb"\0\0\x01\0", Other("an icon", _PICTURE)),
        (rb"%!PS|\xc5\xd0\xd3\xc6", Other("a PostScript file", "Save it as PDF, and send that.")),
        (rb"7z\xbc\xaf\x27\x1c|Rar!|\x1f\x8b|BZh|\xfd7zXZ", _ARCHIVE),
        (rb"#!", Other("a script", "Send its text as TXT.")),
        (rb"(\xef\xbb\xbf)?\s*(<\?xml.{0,999})?<svg[\s>]", Other("an SVG picture", _PICTURE)),
        (rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body|script)[\s>]", _PAGE),
    )
)


def recognise(file: IO[bytes]) -> FileType | Other | None:
    """Return what a file begins as, an accepted type or another one, or None.

    That it begins so says nothing of the rest.
    """
    file.seek(0)
    head = file.read(_HEAD)
    for pattern, kind in _SIGNATURES:
        if pattern.match(head):
            return kind
    if head.startswith(compound_files.MAGIC):
        return _compound(file)
    if head.startswith(b"PK\x03\x04"):
        return _archive(file)
    if embedded.is_program(head):
        return _PROGRAM
    if pdf_documents.begins(head):
        return PDF
    return TXT if _is_text(file) else None


def _is_text(file: IO[bytes]) -> bool:
    try:
        texts.check(file)
    except Damaged:
        return False
    return True


def _compound(file: IO[bytes]) -> FileType | Other | None:
    try:
        with compound_files.opened(file) as compound:
            if compound.has("EncryptedPackage"):
                return PASSWORD
            if compound.has("Workbook") or compound.has("Book"):
                return _WORKBOOK
            if compound.has("PowerPoint Document"):
                return _PRESENTATION
            return DOC if compound.has("WordDocument") else None
    except Damaged:
        return None


def _archive(file: IO[bytes]) -> FileType | Other | None:
    try:
        with zip_archives.opened(file) as archive:
            names = {part.filename.lower(): part for part in archive.infolist()}
            if "mimetype" in names and "content.xml" in names:
                return Other("an OpenDocument file", _DOCUMENT)
            if "[content_types].xml" not in names:
                return _ARCHIVE
            declared = next(zip_archives.pieces(archive, names["[content_types].xml"]), b"")
    except Damaged:
        return None
    for word, kind in _OFFICE.items():
        if word in declared:
            return kind
    return _ARCHIVE
