"""Whether an uploaded file is accepted: the content decides, and must be what its name says.

This is work for another process than the one that serves (see
`presence.transport.process.file_checks`): it decodes what strangers send.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from presence.domain.files import (
    file_types,
    pdf_documents,
    pictures,
    recognising,
    texts,
    word_documents,
    zip_archives,
)
from presence.domain.files.allowance import Appended, Damaged
from presence.domain.files.file_types import DOC, DOCX, PDF, TXT, FileType
from presence.domain.files.recognising import Other
from presence.errors import FileTooComplex, FileTypeRefused, ImageTooLarge

# How much of an unknown extension an answer repeats.
_SHOWN = 16

_EMPTY = "The file is empty. Send one with content."
_ARCHIVE = (
    "The file is an archive as well as what its extension says. Send it without what is hidden in "
    "it."
)
_APPENDED = (
    "Something stands before or behind the content of this file that is no part of it. Save it "
    "anew, and send it again."
)
_DAMAGED = (
    "This file is damaged, or was cut short, so that programs cannot open it as {called}. Save it "
    "anew from the program that made it, and send it again."
)
_UNKNOWN = (
    "This is not {called}, as its extension “{extension}” says. Save it as one, or send {accepted}."
)
_NOT_UTF8 = (
    "Text must be UTF-8, and this is in another encoding. Save it as UTF-8 (in Notepad: Save as, "
    "Encoding), and send it again."
)


def detect(file: IO[bytes], filename: str, *, max_pixels: int = 0) -> FileType:
    """Return the type of an uploaded file whose client calls it `filename`.

    Raises `FileTypeRefused` when the name has no accepted extension or the content is not what it
    says, `ImageTooLarge` for a picture that unfolds to more than `max_pixels` (0 for any number),
    and `FileTooComplex` for what would take too much work.
    """
    extension = file_types.extension_of(filename)
    kind = file_types.by_extension(extension)
    if file.seek(0, 2) == 0:
        raise FileTypeRefused(_EMPTY)
    if kind is None:
        raise FileTypeRefused(_without_type(file, extension, max_pixels))
    found = recognising.recognise(file)
    if found is not kind:
        # Any text may begin like something else, and need not be it.
        if kind is not TXT:
            raise FileTypeRefused(_misnamed(file, extension, kind, found, max_pixels))
        if isinstance(found, FileType) and _is_sound(file, found, max_pixels):
            raise FileTypeRefused(_rename(found))
    try:
        _check(file, kind, max_pixels)
    except Appended:
        raise FileTypeRefused(_APPENDED) from None
    except Damaged:
        if kind is TXT:
            raise FileTypeRefused(_no_text(found)) from None
        raise FileTypeRefused(_DAMAGED.format(called=kind.called)) from None
    return kind


def _check(file: IO[bytes], kind: FileType, max_pixels: int) -> None:
    """Raise what keeps a file from being accepted as this type."""
    if kind is not DOCX and zip_archives.is_also_an_archive(file):
        raise FileTypeRefused(_ARCHIVE)
    if kind.is_image:
        pictures.check(file, kind, max_pixels)
    else:
        _DOCUMENTS[kind](file)


def _without_type(file: IO[bytes], extension: str, max_pixels: int) -> str:
    """Return what to say of a file whose name says no accepted type."""
    found = recognising.recognise(file)
    if isinstance(found, FileType) and _is_sound(file, found, max_pixels):
        # A script is text too, but its name was meant so.
        if not extension:
            return f"The name has no extension. {_rename(found)}"
        if found is not TXT:
            return _rename(found)
    if isinstance(found, Other):
        return _instead(found)
    if not extension:
        return (
            f"The name has no extension. Give it that of its type, and send {file_types.ACCEPTED}."
        )
    return f"“{_shortened(extension)}” files are not accepted. Send {file_types.ACCEPTED}."


def _misnamed(
    file: IO[bytes],
    extension: str,
    kind: FileType,
    found: FileType | Other | None,
    max_pixels: int,
) -> str:
    """Return what to say of a file that is something else than its name says."""
    if isinstance(found, Other):
        return _instead(found)
    if found is not None and found is not TXT and _is_sound(file, found, max_pixels):
        return _rename(found)
    if found is None and _begins_as_compound(file, kind):
        return _DAMAGED.format(called=kind.called)
    return _UNKNOWN.format(
        called=kind.called, extension=_shortened(extension), accepted=file_types.ACCEPTED
    )


def _no_text(found: FileType | Other | None) -> str:
    return _instead(found) if isinstance(found, Other) else _NOT_UTF8


def _begins_as_compound(file: IO[bytes], kind: FileType) -> bool:
    """Tell whether a file that nobody can name began as a document of this kind does."""
    file.seek(0)
    head = file.read(8)
    return (kind is DOC and head.startswith(b"\xd0\xcf\x11\xe0")) or (
        kind is DOCX and head.startswith(b"PK\x03\x04")
    )


def _is_sound(file: IO[bytes], kind: FileType, max_pixels: int) -> bool:
    try:
        _check(file, kind, max_pixels)
    except (Damaged, Appended, FileTypeRefused, ImageTooLarge, FileTooComplex):
        return False
    return True


def _rename(kind: FileType) -> str:
    return f"This is {kind.called}: name it {kind.extension}, and send it again."


def _instead(other: Other) -> str:
    return f"This is {other.called}, which is not accepted. {other.instead}"


def _shortened(extension: str) -> str:
    return extension if len(extension) <= _SHOWN else extension[:_SHOWN] + "…"


_DOCUMENTS: dict[FileType, Callable[[IO[bytes]], None]] = {
    PDF: pdf_documents.check,
    DOC: word_documents.check_doc,
    DOCX: word_documents.check_docx,
    TXT: texts.check,
}
