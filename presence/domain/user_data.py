"""What a peer's user_data may be, and how new keys are merged into it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import orjson

from presence.errors import InvalidField, UserDataTooLarge

MAX_DEPTH = 16
# Whole numbers beyond 64 bits are changed silently by some JSON readers and refused by others.
_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)


def check(value: object, max_bytes: int, field: str = "user_data") -> dict[str, Any]:
    """Return `value` if every client can read it as user_data.

    It must be an object of JSON values, at most `MAX_DEPTH` levels deep and `max_bytes` long as
    compact UTF-8 JSON; numbers are finite, strings are valid Unicode without U+0000 (which
    PostgreSQL cannot store). Raises `InvalidField` naming the key at fault, or
    `UserDataTooLarge`.
    """
    if not isinstance(value, dict):
        raise InvalidField(field, "must be an object of keys and values.")
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        size = 0  # not JSON at all: the walk below says which value is at fault
    if size > max_bytes:
        raise UserDataTooLarge(size, max_bytes)
    _check_value(value, field, depth=1)
    return value


def check_size(value: dict[str, Any], max_bytes: int) -> None:
    """Raise `UserDataTooLarge` if `value` is longer than `max_bytes` as compact JSON."""
    size = len(orjson.dumps(value))
    if size > max_bytes:
        raise UserDataTooLarge(size, max_bytes)


def merge(
    stored: dict[str, Any],
    new: dict[str, Any],
    *,
    remove: Iterable[str] = (),
    replace: bool = False,
    max_bytes: int,
) -> dict[str, Any]:
    """Return `stored` with the top-level keys of `new` put over it.

    ``None`` is a value like any other. `remove` names keys to delete first; with `replace` nothing
    of `stored` is kept. Raises `UserDataTooLarge`.
    """
    merged = {} if replace else dict(stored)
    for key in remove:
        merged.pop(key, None)
    merged.update(new)
    check_size(merged, max_bytes)
    return merged


def changed_keys(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the top-level keys that were added, removed or given another value, sorted.

    Values are compared as JSON: Python takes ``1``, ``1.0`` and ``True`` for equal.
    """
    return sorted(
        key
        for key in before.keys() | after.keys()
        if key not in before
        or key not in after
        or orjson.dumps(before[key]) != orjson.dumps(after[key])
    )


def _check_value(value: object, field: str, depth: int) -> None:  # noqa: PLR0912
    if isinstance(value, str):
        _check_text(value, field)
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise InvalidField(field, "must be a number of at most 64 bits.")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidField(field, "must be a finite number, not NaN or infinity.")
    elif isinstance(value, (dict, list)):
        if depth > MAX_DEPTH:
            raise InvalidField(field, f"is nested more than {MAX_DEPTH} levels deep.")
        if isinstance(value, list):
            for index, item in enumerate(value):
                _check_value(item, f"{field}[{index}]", depth + 1)
        else:
            for key, item in value.items():
                _check_text(key, f"{field}, in a key,")
                _check_value(item, f"{field}.{key}", depth + 1)
    else:
        raise InvalidField(field, "must be JSON; upload binary content as a file.")


def _check_text(text: str, field: str) -> None:
    if "\x00" in text:
        raise InvalidField(field, "must not contain the character U+0000.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidField(
            field, "must be valid Unicode; it contains half of a surrogate pair."
        ) from None
