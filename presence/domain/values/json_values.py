"""Which JSON values every client can read: what user data and signals have in common."""

from __future__ import annotations

import json
import math
import re

import orjson

from presence.errors import InvalidField

# Whole numbers beyond 64 bits are changed silently by some JSON readers and refused by others.
_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)
# How much of a key, and of the way to what is at fault, a sentence shows.
_LONGEST_KEY, _LONGEST_PATH = 64, 400
# What leaves only the nesting of JSON: its strings, its other characters, and objects as lists.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_AS_LISTS = bytes.maketrans(b"{}", b"[]")


def size(value: object, field: str) -> int:
    """Return the length of a value as compact JSON, in bytes of UTF-8.

    What is no JSON counts as Python writes it, so that it is known to be too large before `check`
    looks for what is at fault. Raises `InvalidField` for what is nested too deeply to be written.
    """
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        pass
    try:
        text = json.dumps(
            value, separators=(",", ":"), ensure_ascii=False, default=lambda _binary: None
        )
    except RecursionError:
        raise InvalidField(field, "is nested too deeply.") from None
    return len(text.encode("utf-8", "surrogatepass"))


def check(value: object, field: str, *, max_depth: int, stored: bool) -> None:
    """Raise `InvalidField`, naming the key at fault, unless every client can read `value`.

    It must be of JSON's types, nested at most `max_depth` levels; numbers are finite and fit into
    64 bits, strings are valid Unicode. What is `stored` must be free of U+0000 too, which
    PostgreSQL cannot keep.

    Only what is wrong is looked at one by one: a key of thousands of characters over thousands of
    values would else be put together for each of them, for an error that never comes.
    """
    if not _is_sound(value, max_depth, stored):
        fault = _fault(value, 1, max_depth, stored)
        if fault is not None:
            raise InvalidField(f"{field}{fault.path}", fault.reason)


def check_text(text: str, field: str, *, stored: bool) -> None:
    """Raise `InvalidField` unless every client can read the string; see `check`."""
    wrong = _wrong_text(text, stored)
    if wrong is not None:
        raise InvalidField(field, wrong)


class _Fault:
    """What is wrong with a value, and the path that leads to it, made on the way back."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path = ""

    def below(self, step: str) -> _Fault:
        self.path = step + self.path if len(self.path) < _LONGEST_PATH else "…" + self.path
        return self


def _is_sound(value: object, max_depth: int, stored: bool) -> bool:
    """Tell whether nothing is wrong with a value; False where something may be.

    Serialising finds what is no JSON, numbers of more than 64 bits and broken Unicode. Numbers that
    are not finite come back as null.
    """
    try:
        encoded = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    if stored and b"\\u0000" in encoded:
        return False
    return not _is_deeper(encoded, max_depth) and bool(orjson.loads(encoded) == value)


def _is_deeper(encoded: bytes, max_depth: int) -> bool:
    """Tell whether compact JSON has objects and lists in more levels than that.

    Every round takes away the innermost pairs, all at once: thousands of small lists would else be
    looked at one by one, for milliseconds.
    """
    if encoded.count(b"[") + encoded.count(b"{") <= max_depth:
        return False
    brackets = _STRING.sub(b"", encoded).translate(_AS_LISTS, _NO_BRACKETS)
    for _ in range(max_depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _fault(value: object, depth: int, max_depth: int, stored: bool) -> _Fault | None:
    """Return the first thing that is wrong with a value, or None."""
    reason = _reason(value, depth, max_depth, stored)
    if reason is not None:
        return _Fault(reason)
    if isinstance(value, list):
        for index, item in enumerate(value):
            found = _fault(item, depth + 1, max_depth, stored)
            if found is not None:
                return found.below(f"[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            wrong = _wrong_text(key, stored)
            if wrong is not None:
                return _Fault(f"has a key that {wrong}")
            found = _fault(item, depth + 1, max_depth, stored)
            if found is not None:
                return found.below(f".{key[:_LONGEST_KEY]}{'…' if len(key) > _LONGEST_KEY else ''}")
    return None


def _reason(value: object, depth: int, max_depth: int, stored: bool) -> str | None:
    """Return the end of a sentence about what is wrong with a value itself, or None."""
    if isinstance(value, str):
        return _wrong_text(value, stored)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        fits = _MIN_INTEGER <= value <= _MAX_INTEGER
        return None if fits else "must be a number of at most 64 bits."
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number, not NaN or infinity."
    if not isinstance(value, (dict, list)):
        return "must be JSON; upload binary content as a file."
    return f"is nested more than {max_depth} levels deep." if depth > max_depth else None


def _wrong_text(text: str, stored: bool) -> str | None:
    if stored and "\x00" in text:
        return "must not contain the character U+0000."
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "must be valid Unicode; it contains half of a surrogate pair."
    return None
