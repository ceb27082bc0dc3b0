"""Whether a file is a Word document that does nothing by itself when somebody opens it.

A document is refused that carries macros or controls, that fetches something from elsewhere when
it is opened, or that unfolds to more than a document does.
"""

from __future__ import annotations

import re
import struct
import zipfile
from typing import IO
from xml.etree.ElementTree import Element

import olefile
from defusedxml import ElementTree

from presence.errors import FileTypeRefused

# The directory of a ZIP archive is read into memory as a whole; a real document's is small.
_MAX_ZIP_DIRECTORY = 1024 * 1024
# A document of this size unfolded keeps any word processor busy.
_MAX_UNFOLDED = 512 * 1024 * 1024
# Of the parts that are read here. Those of real documents have a few kilobytes.
_MAX_PART = 1024 * 1024
_MAX_RELATIONSHIPS_READ = 8 * 1024 * 1024
_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # all that ECMA-376, part 2, allows
_LOCAL_HEADER_BYTES = 30

_CONTENT_TYPES = "[content_types].xml"
_DOCUMENT = "word/document.xml"
_DOCUMENT_TYPE = "wordprocessingml.document.main+xml"
_ACTIVE_TYPES = ("macroenabled", "vbaproject", "vbadata", "activex")
_ACTIVE_STORAGES = {"macros", "vba", "_vba_project", "_vba_project_cur", "\x01ole10native"}
# The template of a document made from one lies on its author's disk, where it does no harm.
_LOCAL_FILE = re.compile(r"file:///[a-z]:[\\/]", re.IGNORECASE)

MACROS = (
    "The document contains macros, controls or embedded programs. Save it without them, and send "
    "it again."
)
FETCHES = (
    "The document fetches something from elsewhere when it is opened (a template, a picture or an "
    "object that is only linked). Embed it, and send the document again."
)
UNFOLDS = "The document unfolds to more than any document should. Save it anew, and send it again."


def is_doc(file: IO[bytes], head: bytes) -> bool:
    """Tell whether a file is an OLE compound file with a Word document ([MS-DOC], section 2.1).

    Raises `FileTypeRefused` for one with macros or embedded programs.
    """
    if not head.startswith(olefile.MAGIC):
        return False
    file.seek(0)
    try:
        with olefile.OleFileIO(file) as ole:
            if not ole.exists("WordDocument"):
                return False
            names = {part.lower() for path in ole.listdir(storages=True) for part in path}
    except Exception:
        # A damaged directory makes the reader fail in many ways; all of them mean "not a document".
        return False
    if names & _ACTIVE_STORAGES:
        raise FileTypeRefused(MACROS)
    return True


def is_docx(file: IO[bytes], head: bytes) -> bool:
    """Tell whether a file is a ZIP archive with the parts of a Word document (ECMA-376, part 2).

    Raises `FileTypeRefused` for one with macros, one that fetches something from elsewhere when
    it is opened, and one that unfolds to too much.
    """
    if not head.startswith(b"PK\x03\x04") or zip_directory_size(file) > _MAX_ZIP_DIRECTORY:
        return False
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            parts = {part.filename.lower(): part for part in archive.infolist()}
            if not {_CONTENT_TYPES, _DOCUMENT} <= parts.keys():
                return False
            if not _is_sound(archive):
                return False
            if sum(part.file_size for part in parts.values()) > _MAX_UNFOLDED:
                raise FileTypeRefused(UNFOLDS)
            if any(name.endswith("vbaproject.bin") for name in parts):
                raise FileTypeRefused(MACROS)
            return _says_document(archive, parts[_CONTENT_TYPES]) and _stays_within(archive)
    except FileTypeRefused:
        raise
    except Exception:
        # As above: the many ways in which a damaged archive fails all mean the same.
        return False


def is_also_an_archive(file: IO[bytes]) -> bool:
    """Tell whether a program that opens ZIP archives would open this file as one."""
    end = _zip_end(file)
    if end is None:
        return False
    tail, at = end
    (comment,) = struct.unpack_from("<H", tail, at + 20)
    return bool(at + 22 + comment == len(tail))


def zip_directory_size(file: IO[bytes]) -> int:
    """Return the size of a ZIP archive's directory as its end record gives it (APPNOTE 4.3.16)."""
    end = _zip_end(file)
    if end is None or b"PK\x06\x07" in end[0]:
        # No end record, or the 64-bit form, which no document of this size needs.
        return _MAX_ZIP_DIRECTORY + 1
    size: int = struct.unpack_from("<L", end[0], end[1] + 12)[0]
    return size


def _zip_end(file: IO[bytes]) -> tuple[bytes, int] | None:
    """Return the file's tail, and where in it the end record of a ZIP archive stands."""
    length = file.seek(0, 2)
    file.seek(max(0, length - 65_557))  # the record, and the longest comment behind it
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    return None if at < 0 or len(tail) < at + 22 else (tail, at)


def _is_sound(archive: zipfile.ZipFile) -> bool:
    """Tell whether the archive's parts are readable, lie one behind the other, and stay inside it.

    In a bomb without nesting they overlap (D. Fifield, “A better zip bomb”, 2019).
    """
    names: set[str] = set()
    end = 0
    for part in sorted(archive.infolist(), key=lambda part: part.header_offset):
        # ZipFile takes bytes before the first part for something that is not the archive's.
        if part.header_offset < end or (end == 0 and part.header_offset != 0):
            return False
        end = part.header_offset + _LOCAL_HEADER_BYTES + len(part.filename) + part.compress_size
        path = part.filename.lower()
        if path in names or ".." in path.split("/") or path.startswith("/") or "\\" in path:
            return False
        names.add(path)
        if part.flag_bits & _ENCRYPTED or part.compress_type not in _METHODS:
            return False
    return end <= archive.start_dir


def _says_document(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Tell whether the parts are declared as those of a document; raises `FileTypeRefused`."""
    declared = [
        (element.get("ContentType") or "").lower() for element in _read(archive, part).iter()
    ]
    if any(active in kind for kind in declared for active in _ACTIVE_TYPES):
        raise FileTypeRefused(MACROS)
    return any(_DOCUMENT_TYPE in kind for kind in declared)


def _stays_within(archive: zipfile.ZipFile) -> bool:
    """Raise `FileTypeRefused` if a part refers to anything outside that is fetched by itself."""
    read = 0
    for part in archive.infolist():
        if not part.filename.lower().endswith(".rels"):
            continue
        read += part.file_size
        if read > _MAX_RELATIONSHIPS_READ:
            raise FileTypeRefused(UNFOLDS)
        for relationship in _read(archive, part).iter():
            kind = (relationship.get("Type") or "").lower()
            if "vbaproject" in kind or "activex" in kind:
                raise FileTypeRefused(MACROS)
            if (relationship.get("TargetMode") or "").lower() != "external":
                continue
            target = relationship.get("Target") or ""
            # A link waits to be clicked.
            if not kind.endswith("/hyperlink") and not _LOCAL_FILE.match(target):
                raise FileTypeRefused(FETCHES)
    return True


def _read(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Element:
    """Return a part's XML; raises `ValueError` for one too large to be real."""
    with archive.open(part) as opened:
        content = opened.read(_MAX_PART + 1)
    if len(content) > _MAX_PART:
        raise ValueError
    root: Element = ElementTree.fromstring(content, forbid_dtd=True)
    return root
