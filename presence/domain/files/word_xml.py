"""The XML inside a Word document: what it declares, what it refers to, and its fields.

Read as a stream by expat, which builds no tree, with what costs work counted. A declaration of
types ends it, by which a kilobyte could unfold to gigabytes; no document needs one (ECMA-376, part
2, 8.1.4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote
from xml.parsers import expat

from presence.domain.files.allowance import Allowance, Damaged

_MAX_ELEMENTS = 5_000_000
_MAX_RELATIONS = 50_000
# A field's instruction is a line; beyond this nothing is told from it.
_MAX_INSTRUCTION = 4096

_DDE = re.compile(r"\s*dde(auto)?\b", re.IGNORECASE)
_QUOTED_NUMBERS = re.compile(r"\s*quote\b(?P<numbers>.*)", re.IGNORECASE | re.DOTALL)
_SEPARATOR = " "
_FIELD_NAMES = (b"instrText", b"fldSimple")
_IN_UTF8 = re.compile(
    rb"(\xef\xbb\xbf)?(<\?xml((?!encoding|\?>).)*(encoding\s*=\s*[\"']utf-8[\"'][^>]*)?\?>)?\s*<[^?]",
    re.IGNORECASE | re.DOTALL,
)
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


class XmlAllowances:
    """What the parts of one document may have together."""

    def __init__(self) -> None:
        self.elements = Allowance("elements", _MAX_ELEMENTS)
        self.relations = Allowance("relations", _MAX_RELATIONS)


class Visitor:
    """Looks at each element as it comes; the names are without their namespaces."""

    def __init__(self, allowances: XmlAllowances) -> None:
        self._elements = allowances.elements

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def finish(self, name: str) -> None:
        """An element ends."""

    def text(self, data: str) -> None:
        """Text stands in an element."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """What the parser calls."""
        self._elements.take()
        self.begin(_local(name), attributes)

    def end(self, name: str) -> None:
        """What the parser calls."""
        self.finish(_local(name))

    def close(self) -> None:
        """The part is over."""


class Declarations(Visitor):
    """Of ``[Content_Types].xml``: content types by part name and by extension, in small letters."""

    def __init__(self, allowances: XmlAllowances) -> None:
        super().__init__(allowances)
        self.by_part: dict[str, str] = {}
        self.by_extension: dict[str, str] = {}
        self._relations = allowances.relations

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Note what is declared."""
        self._relations.take()
        kind = attributes.get("ContentType", "").lower()
        if name == "Override":
            self.by_part[attributes.get("PartName", "").lower().lstrip("/")] = kind
        elif name == "Default":
            self.by_extension[attributes.get("Extension", "").lower()] = kind

    def of(self, part_name: str) -> str:
        """Return the type of a part, or nothing."""
        return self.by_part.get(part_name) or self.by_extension.get(
            part_name.rpartition(".")[2], ""
        )

    def all(self) -> Iterable[str]:
        """Return all types that are declared."""
        return [*self.by_part.values(), *self.by_extension.values()]


class Relations(Visitor):
    """Of a ``.rels`` part: the relations that it declares, as (type, target, is outside)."""

    def __init__(self, allowances: XmlAllowances) -> None:
        super().__init__(allowances)
        self.found: list[tuple[str, str, bool]] = []
        self._relations = allowances.relations

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Note a relation."""
        if name == "Relationship":
            self._relations.take()
            is_outside = attributes.get("TargetMode", "").lower() == "external"
            kind = attributes.get("Type", "").lower()
            self.found.append((kind, attributes.get("Target", ""), is_outside))


class Fields(Visitor):
    """Of any part: whether a field in it starts a program (ECMA-376, part 1, 17.16).

    A field stands between marks, its instruction in pieces, and other fields may be among them
    whose results it takes up; what QUOTE makes of numbers is taken up as well.
    """

    def __init__(self, allowances: XmlAllowances) -> None:
        super().__init__(allowances)
        self.starts_programs = False
        # The instructions of the fields that are open, and whether each is still being given.
        self._open: list[tuple[list[str], bool]] = []
        self._in_instruction = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Follow the marks of fields."""
        if name == "instrText":
            self._in_instruction = True
        elif name == "fldSimple":
            self._judge(_attribute(attributes, "instr"))
        elif name == "fldChar":
            kind = _attribute(attributes, "fldCharType")
            if kind == "begin":
                self._open.append(([], True))
            elif kind == "separate" and self._open:
                self._open[-1] = (self._open[-1][0], False)
            elif kind == "end" and self._open:
                self._close()

    def finish(self, name: str) -> None:
        """Follow the end of a piece."""
        if name == "instrText":
            self._in_instruction = False

    def text(self, data: str) -> None:
        """Take up a piece of an instruction."""
        if self._in_instruction and self._open and self._open[-1][1]:
            self._open[-1][0].append(data[:_MAX_INSTRUCTION])

    def close(self) -> None:
        """Judge what is still open; readers close it as well."""
        while self._open:
            self._close()

    def _close(self) -> None:
        pieces, _ = self._open.pop()
        instruction = "".join(pieces)[:_MAX_INSTRUCTION]
        self._judge(instruction)
        if self._open and self._open[-1][1]:
            self._open[-1][0].append(_result(instruction))

    def _judge(self, instruction: str) -> None:
        if _DDE.match(instruction.replace('"', " ")[:_MAX_INSTRUCTION]):
            self.starts_programs = True


def visit(pieces: Iterable[bytes], visitor: Any) -> Any:
    """Show a part, piece by piece, to a visitor, and return it.

    Raises `Damaged` and `FileTooComplex`.
    """
    parser = _parser()
    parser.StartElementHandler = visitor.start
    parser.EndElementHandler = visitor.end
    parser.CharacterDataHandler = visitor.text
    _feed(parser, pieces)
    visitor.close()
    return visitor


def fields_in(pieces: Callable[[], Iterable[bytes]], allowances: XmlAllowances) -> bool:
    """Tell whether a field in a part starts a program; `pieces` gives the part, as often as asked.

    Most parts name no field at all. Those are only parsed, without a call of Python's for each
    element: 40 times as fast. Raises `Damaged` and `FileTooComplex`.
    """
    scanned = _Scan(allowances)
    _feed(_parser(), map(scanned.take, pieces()))
    return scanned.has_fields and visit(pieces(), Fields(allowances)).starts_programs


class _Scan:
    """Looks at the bytes of a part: how many elements it has at most, and whether fields."""

    def __init__(self, allowances: XmlAllowances) -> None:
        self.has_fields = False
        self._elements = allowances.elements
        self._last: bytes | None = None

    def take(self, piece: bytes) -> bytes:
        """Look at a piece and return it."""
        self._elements.take(piece.count(b"<"))
        if self._last is None:
            # In other encodings the names would not be found.
            self.has_fields = not _IN_UTF8.match(piece)
        seen = (self._last or b"") + piece
        self.has_fields = self.has_fields or any(name in seen for name in _FIELD_NAMES)
        self._last = piece[-16:]
        return piece


def _parser() -> Any:
    # With a separator the names have their namespaces, and prefixes no meaning of their own.
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def _refuse(*_declaration: Any) -> None:
    raise Damaged


def _feed(parser: Any, pieces: Iterable[bytes]) -> None:
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Damaged from error


def _local(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition(_SEPARATOR)[2]


def is_elsewhere(target: str, *, is_template: bool) -> bool:
    """Tell whether what a relation names is fetched over a network.

    What lies on its author's disk is not: a bare name, a path, a file's address without a host.
    """
    address = unquote(target).strip().replace("\\", "/")
    found = _SCHEME.match(address)
    if found is None:
        return address.startswith("//")
    if found["scheme"].lower() == "file":
        path = re.sub(r"^//localhost(?=/)", "//", found["rest"], flags=re.IGNORECASE)
        return bool(re.match(r"//(?!/)|////", path))
    # “Macintosh HD:Users:ada:letter.dotm”: before Unix, paths of a Mac had colons.
    return "/" in found["rest"] or not is_template


def _attribute(attributes: dict[str, str], name: str) -> str:
    """Return an attribute whatever its namespace is."""
    for key, value in attributes.items():
        if _local(key) == name:
            return value
    return ""


def _result(instruction: str) -> str:
    """Return what a field leaves in the one around it: of QUOTE the characters, else nothing."""
    found = _QUOTED_NUMBERS.match(instruction)
    if found is None:
        return ""
    words = found["numbers"].replace('"', " ").split()
    return "".join(chr(int(word)) if word.isdecimal() and len(word) < 4 else word for word in words)
