"""Which JSON values every client can read: what user data and signals have in common."""

from __future__ import annotations

import json
import math

import orjson

from presence.errors import InvalidField

# Whole numbers beyond 64 bits are changed silently by some JSON readers and refused by others.
_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)


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
    """
    _check_value(value, field, 1, max_depth, stored)


def check_text(text: str, field: str, *, stored: bool) -> None:
    """Raise `InvalidField` unless every client can read the string; see `check`."""
    if stored and "\x00" in text:
        raise InvalidField(field, "must not contain the character U+0000.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidField(
            field, "must be valid Unicode; it contains half of a surrogate pair."
        ) from None


def _check_key(key: str, field: str, stored: bool) -> None:
    try:
        check_text(key, field, stored=stored)
    except InvalidField as error:
        raise InvalidField(field, f"has a key that {error.reason}") from None


def _check_value(value: object, field: str, depth: int, max_depth: int, stored: bool) -> None:
    if isinstance(value, str):
        check_text(value, field, stored=stored)
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise InvalidField(field, "must be a number of at most 64 bits.")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidField(field, "must be a finite number, not NaN or infinity.")
    elif not isinstance(value, (dict, list)):
        raise InvalidField(field, "must be JSON; upload binary content as a file.")
    elif depth > max_depth:
        raise InvalidField(field, f"is nested more than {max_depth} levels deep.")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_value(item, f"{field}[{index}]", depth + 1, max_depth, stored)
    else:
        for key, item in value.items():
            _check_key(key, field, stored)
            _check_value(item, f"{field}.{key}", depth + 1, max_depth, stored)
