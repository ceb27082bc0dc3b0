"""Whether a file is a Word document that does nothing by itself when somebody opens it.

A document is refused that carries macros, controls or programs, that starts one by a field, or
that fetches something from elsewhere when it is opened.
"""

from __future__ import annotations

import functools
import posixpath
import re
import zipfile
from typing import IO

from presence.domain.files import compound_files, embedded, word_xml, zip_archives
from presence.domain.files.allowance import Damaged
from presence.domain.files.word_xml import Declarations, Relations, XmlAllowances
from presence.domain.files.zip_archives import Allowances, Parts
from presence.errors import FileTypeRefused

_CONTENT_TYPES = "[content_types].xml"
_RELATIONS = "_rels/.rels"
_DOCUMENT_TYPE = "wordprocessingml.document.main+xml"
_TEMPLATE_TYPE = "wordprocessingml.template.main+xml"
_ACTIVE_TYPES = ("macroenabled", "vbaproject", "vbadata", "activex")
_SHOWN = 80

# How a document begins: of Word 97 ([MS-DOC], 2.5.2), of Word 6 and 95, and of those in East Asia.
_DOC_MARKS = (b"\xec\xa5", b"\xdc\xa5", b"\x99\xa6", b"\x98\xa6", b"\x97\xa6")
# A field that starts a program, in text of one or of two bytes a character ([MS-DOC], 2.8.25).
_DDE = re.compile(
    rb"\x13\s*dde(auto)?[\s\"\\\x14\x15]|"
    rb"\x13\0(?:\s\0)*d\0d\0e\0(?:a\0u\0t\0o\0)?[\s\"\\\x14\x15]\0",
    re.IGNORECASE,
)

STARTS = (
    "The document has a field that starts another program (DDE). Remove the field, and send the "
    "document again."
)
TEMPLATE = "This is a Word template. Save it as a document (.docx), and send that."
_FETCHES = (
    "The document fetches “{target}” from elsewhere when it is opened ({what}). Embed it or remove "
    "it, and send the document again."
)


def check_doc(file: IO[bytes]) -> None:
    """Raise unless a file is a Word 97–2003 document ([MS-DOC], section 2.1), whole and harmless.

    Raises `Damaged`, `Appended`, `FileTypeRefused` and `FileTooComplex`.
    """
    with compound_files.opened(file) as compound:
        if not compound.has("WordDocument"):
            raise Damaged
        compound.check_end()
        text = compound.read(("WordDocument",))
        if not text.startswith(_DOC_MARKS):
            raise Damaged
        embedded.check_objects(compound, Allowances())
        if _DDE.search(text):
            raise FileTypeRefused(STARTS)


def check_docx(file: IO[bytes]) -> None:
    """Raise unless a file is a Word document (ECMA-376, parts 1 and 2), whole and harmless.

    Raises `Damaged`, `Appended`, `FileTypeRefused` and `FileTooComplex`.
    """
    allowances, xml = Allowances(), XmlAllowances()
    with zip_archives.opened(file) as archive:
        parts = zip_archives.parts_of(file, archive, allowances)
        if _CONTENT_TYPES not in parts:
            raise Damaged
        declared: Declarations = word_xml.visit(
            zip_archives.pieces(archive, parts[_CONTENT_TYPES]), Declarations(xml)
        )
        if any(active in kind for kind in declared.all() for active in _ACTIVE_TYPES):
            raise FileTypeRefused(embedded.MACROS)
        if any(name.endswith("vbaproject.bin") for name in parts):
            raise FileTypeRefused(embedded.MACROS)
        _check_main(archive, parts, declared, xml)
        for name, part in parts.items():
            if name.endswith(".rels"):
                _check_relations(archive, part, xml)
            elif name.endswith(".xml") or declared.of(name).endswith(("+xml", "/xml")):
                if word_xml.fields_in(functools.partial(zip_archives.pieces, archive, part), xml):
                    raise FileTypeRefused(STARTS)
            elif name != _CONTENT_TYPES:
                # Read to its end, where its check sum is compared.
                embedded.check(b"".join(zip_archives.pieces(archive, part)), allowances)


def _check_main(
    archive: zipfile.ZipFile, parts: Parts, declared: Declarations, xml: XmlAllowances
) -> None:
    """Raise unless there is a main part: the one that the relations or the types name."""
    named = [name for name, kind in declared.by_part.items() if _DOCUMENT_TYPE in kind]
    if _RELATIONS in parts:
        relations: Relations = word_xml.visit(
            zip_archives.pieces(archive, parts[_RELATIONS]), Relations(xml)
        )
        named += [
            posixpath.normpath(target.lower().lstrip("/"))
            for kind, target, is_outside in relations.found
            if kind.endswith("/officedocument") and not is_outside
        ]
    kinds = [declared.of(name) for name in named if name in parts]
    if not any(_DOCUMENT_TYPE in kind for kind in kinds):
        if any(_TEMPLATE_TYPE in kind for kind in kinds):
            raise FileTypeRefused(TEMPLATE)
        raise Damaged


def _check_relations(archive: zipfile.ZipFile, part: zipfile.ZipInfo, xml: XmlAllowances) -> None:
    """Raise `FileTypeRefused` if a part refers to anything outside that is fetched by itself."""
    relations: Relations = word_xml.visit(zip_archives.pieces(archive, part), Relations(xml))
    for kind, target, is_outside in relations.found:
        if "vbaproject" in kind or "activex" in kind:
            raise FileTypeRefused(embedded.MACROS)
        what = kind.rpartition("/")[2]
        # A link waits to be clicked.
        if not is_outside or what == "hyperlink":
            continue
        if word_xml.is_elsewhere(target, is_template=what == "attachedtemplate"):
            raise FileTypeRefused(_FETCHES.format(target=_shown(target), what=_named(what)))


def _shown(target: str) -> str:
    printable = "".join(letter for letter in target[: 2 * _SHOWN] if letter.isprintable())
    return printable if len(printable) <= _SHOWN else printable[:_SHOWN] + "…"


def _named(what: str) -> str:
    """Return what a relation refers to, in words."""
    words = {
        "attachedtemplate": "its template",
        "image": "a picture",
        "oleobject": "a linked object",
        "frame": "a frame",
        "subdocument": "a part of it",
        "afchunk": "a part of it",
    }
    return words.get(what, "something that is only linked")
