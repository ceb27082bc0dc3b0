"""What a document carries inside: objects are fine, but no programs, packages and macros."""

from __future__ import annotations

import io
import struct

from presence.domain.files import compound_files, zip_archives
from presence.domain.files.allowance import Damaged
from presence.domain.files.compound_files import CompoundFile
from presence.domain.files.zip_archives import Allowances
from presence.errors import FileTooComplex, FileTypeRefused

MACROS = (
    "The document contains macros or controls, which run by themselves. Save it without them, and "
    "send it again."
)
PROGRAMS = (
    "The document contains a program, or a package that may hold one. Remove the embedded object, "
    "and send the document again."
)
# Documents in documents in documents: more than anybody means.
_MAX_DEPTH = 3


def check(content: bytes, allowances: Allowances, depth: int = 1) -> None:
    """Raise `FileTypeRefused` if a part of a document is, or has in it, what could run."""
    if is_program(content):
        raise FileTypeRefused(PROGRAMS)
    is_compound = content.startswith(compound_files.MAGIC)
    if not is_compound and not content.startswith(b"PK\x03\x04"):
        return
    if depth > _MAX_DEPTH:
        raise FileTooComplex("documents within one another", _MAX_DEPTH)
    try:
        if is_compound:
            with compound_files.opened_bytes(content) as compound:
                check_objects(compound, allowances, depth)
        else:
            _check_archive(content, allowances, depth)
    except Damaged:
        # What no program opens does nothing; the document around it is whole.
        return


def check_objects(compound: CompoundFile, allowances: Allowances, depth: int = 0) -> None:
    """Raise `FileTypeRefused` if an object in a compound file could run, `Damaged` if it is cut."""
    if compound.has_macros():
        raise FileTypeRefused(MACROS)
    for path, content in compound.streams():
        if compound.is_package(path, content):
            raise FileTypeRefused(PROGRAMS)
        check(content, allowances, depth + 1)


def is_program(content: bytes) -> bool:
    """Tell whether bytes begin as a program of Windows, Linux, macOS or Java does."""
    if content.startswith(
        (b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe")
    ):
        return True
    if not content.startswith(b"MZ") or len(content) < 64:
        return False
    (at,) = struct.unpack_from("<L", content, 60)
    return content[at : at + 2] in (b"PE", b"NE", b"LE")


def _check_archive(content: bytes, allowances: Allowances, depth: int) -> None:
    file = io.BytesIO(content)
    with zip_archives.opened(file) as archive:
        for name, part in zip_archives.parts_of(file, archive, allowances).items():
            if name.endswith("vbaproject.bin"):
                raise FileTypeRefused(MACROS)
            check(b"".join(zip_archives.pieces(archive, part)), allowances, depth + 1)
