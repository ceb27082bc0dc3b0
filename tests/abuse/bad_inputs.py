"""Families of inputs that are bad for a parser: each makes one of about so many bytes.

The texts go wherever a client writes one; the JSON values, of which some are none, wherever a
message has a field.
"""

from __future__ import annotations

import json
from collections.abc import Callable

Text = Callable[[int], str]


def _repeated(piece: str) -> Text:
    return lambda size: piece * max(1, size // len(piece.encode("utf-8", "surrogatepass")))


def _wrapped(start: str, piece: str, end: str) -> Text:
    """Return the family of texts that repeat a piece between a start and an end."""
    inner = _repeated(piece)
    return lambda size: start + inner(max(1, size - len(start) - len(end))) + end


def _combining(size: int) -> str:
    """Return a letter under marks of two classes in the wrong order, which NFC has to sort."""
    return "a" + "\u0300" * (size // 4) + "\u0323" * (size // 4)


TEXTS: dict[str, Text] = {
    "long": _repeated("a"),
    "capitals": _repeated("A"),
    "digits": _repeated("9"),
    "zeros": _repeated("0"),
    "spaces": _repeated(" "),
    "tabs": _wrapped("x", "\t", "x"),
    "spaces inside": _wrapped("x", " ", "x"),
    "combining": _combining,
    "letters to compose": _repeated("e\u0301"),
    "syllables to compose": _repeated("\u1100\u1161\u11a8"),
    "compatibility": _repeated("\ufdfa"),
    "longer in lower case": _repeated("\u0130"),
    "astral": _repeated("\U0001f600"),
    "text direction": _repeated("\u202e"),
    "nothing to see": _repeated("\u3164"),
    "U+0000": _repeated("\x00"),
    "deletes": _repeated("\x7f"),
    "halves of pairs": _repeated("\ud800"),
    "quotes": _repeated('"'),
    "backslashes": _repeated("\\"),
    "escaped quotes": _wrapped('"', '\\"', ""),
    "percents": _repeated("%"),
    "percent escapes": _repeated("%25"),
    "slashes": _repeated("/"),
    "dots": _repeated("."),
    "steps up": _repeated("../"),
    "asterisks": _repeated("*"),
    "letters and asterisks": _repeated("a*"),
    "commas": _repeated(","),
    "list": _repeated("a,"),
    "quoted list": _repeated('"a",'),
    "semicolons": _repeated(";"),
    "parameters": _wrapped("a/b", ";a=b", ""),
    "continued parameters": _wrapped("form-data", ";a*0*=''x", ""),
    "qualities": _repeated("text/html;q=0.1,"),
    "ranges": _wrapped("bytes=", "0-0,", "0-0"),
    "pairs": _repeated("a=b&"),
    "equals": _repeated("="),
    "ampersands": _repeated("&"),
    "colons": _repeated(":"),
    "brackets": _repeated("["),
    "braces": _repeated("{"),
    "parentheses": _repeated("("),
    "hyphens": _repeated("-"),
    "markup": _repeated("<a>"),
    "record separators": _repeated("\x1e"),
    "lines": _repeated("a\n"),
}


def _object_of(member: Callable[[int], str]) -> Text:
    def made(size: int) -> str:
        members, length, number = [], 2, 0
        while length < size:
            members.append(member(number))
            length += len(members[-1]) + 1
            number += 1
        return "{" + ",".join(members) + "}"

    return made


def _list_of(item: str) -> Text:
    return lambda size: "[" + ",".join([item] * max(1, size // (len(item) + 1))) + "]"


def _nested(start: str, end: str) -> Text:
    def made(size: int) -> str:
        levels = max(1, size // len(start + end))
        return start * levels + "0" + end * levels

    return made


def _long_key(value: Text) -> Text:
    """Return an object of one key, as long as what it leads to."""
    return lambda size: "{" + json.dumps("k" * (size // 2)) + ":" + value(size // 2) + "}"


def _nested_keys(size: int) -> str:
    """Return objects in objects, by long keys, to something that is wrong."""
    start = '{"' + "k" * max(1, size // 64) + '":'
    return _nested(start, "}")(size).replace("0", "NaN", 1)


def _shallow(size: int) -> str:
    """Return long lists in as many levels as are allowed."""
    return "[" * 12 + ",".join("0" * max(1, size // 2)) + "]" * 12


VALUES: dict[str, Text] = {
    "deep lists": _nested("[", "]"),
    "deep objects": _nested('{"a":', "}"),
    "deep to the left": lambda size: "[" * max(1, size // 3) + "],0" * max(1, size // 3) + "]",
    "wide list": _list_of("0"),
    "list of lists": _list_of("[]"),
    "list of objects": _list_of("{}"),
    "list of strings": _list_of('""'),
    "list of numbers": _list_of("1.5e3"),
    "lists in lists in lists": _shallow,
    "wide object": _object_of(lambda number: f'"k{number}":{number}'),
    "object of objects": _object_of(lambda number: f'"k{number}":{{"a":[]}}'),
    "one key again and again": _object_of(lambda _number: '"a":0'),
    "long keys": _object_of(lambda number: json.dumps("k" * 500 + str(number)) + ":0"),
    "a long key over many values": _long_key(_list_of("0")),
    "a long key over many objects": _long_key(_object_of(lambda number: f'"{number}":{{}}')),
    "a long key over many that are wrong": _long_key(_list_of("NaN")),
    "long keys in long keys": _nested_keys,
    "wrong at the end": lambda size: _list_of("0")(size)[:-1] + ",NaN]",
    "wrong everywhere": _list_of("NaN"),
    "infinite": _list_of("1e999"),
    "beyond 64 bits": _list_of("99999999999999999999"),
    "half a pair at the end": lambda size: _list_of('"a"')(size)[:-1] + ',"\\ud800"]',
    "halves of pairs, escaped": lambda size: '"' + "\\ud800" * (size // 6) + '"',
    "letters, escaped": lambda size: '"' + "\\u0061" * (size // 6) + '"',
    "U+0000, escaped": lambda size: '"' + "\\u0000" * (size // 6) + '"',
    "line ends, escaped": lambda size: '"' + "\\n" * (size // 2) + '"',
    "many digits": _repeated("7"),
    "a negative number": _wrapped("-", "7", ""),
    "many decimals": _wrapped("0.", "7", ""),
    "a large exponent": _wrapped("1e", "9", ""),
    "a small number": _wrapped("0.", "0", "1"),
    "spaces around": _wrapped("", " ", "0"),
    "places of attachments": _list_of('{"_placeholder":true,"num":0}'),
    "a word that is none": _repeated("true"),
    "comments": _repeated("/**/"),
}


def json_text(text: str) -> str:
    """Return a text as JSON, in as few bytes as it takes; halves of pairs are escaped."""
    if any("\ud800" <= character <= "\udfff" for character in set(text)):
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False)


def _quoted(family: Text) -> Text:
    return lambda size: json_text(family(size))


def _cut(family: Text) -> Text:
    return lambda size: family(size)[:-1]


def _halved(family: Text) -> Text:
    return lambda size: (whole := family(size))[: len(whole) // 2]


# Everything that may stand where a message has a value: texts, values, and those broken off.
JSON_VALUES: dict[str, Text] = {
    **VALUES,
    **{f"text: {name}": _quoted(family) for name, family in TEXTS.items()},
    **{f"{name}, without its end": _cut(family) for name, family in VALUES.items()},
    **{f"{name}, broken off": _halved(family) for name, family in VALUES.items()},
    "text: long, without its end": _cut(_quoted(TEXTS["long"])),
    "text: backslashes, without its end": _cut(_quoted(TEXTS["backslashes"])),
}
