"""What a peer's user_data may be, and how new keys are merged into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from presence.domain.values import json_values
from presence.errors import (
    DatabaseFull,
    InvalidField,
    RoomDataTooLarge,
    StateTooLarge,
    UserDataTooLarge,
)

MAX_DEPTH = 16


# What is raised where data would be longer than it may, given its size and the limit.
TooLarge = type[UserDataTooLarge] | type[RoomDataTooLarge] | type[StateTooLarge]


def check(
    value: object,
    max_bytes: int,
    field: str = "user_data",
    too_large: TooLarge = UserDataTooLarge,
) -> dict[str, Any]:
    """Return `value` if every client can read it as user_data, or as a room's data.

    It must be an object of JSON values, at most `MAX_DEPTH` levels deep and `max_bytes` long as
    compact UTF-8 JSON; numbers are finite, strings are valid Unicode without U+0000 (which
    PostgreSQL cannot store). Raises `InvalidField` naming the key at fault, or what is
    `too_large`.
    """
    if not isinstance(value, dict):
        raise InvalidField(field, "must be an object of keys and values.")
    size = json_values.size(value, field)
    if size > max_bytes:
        raise too_large(size, max_bytes)
    json_values.check(value, field, max_depth=MAX_DEPTH, stored=True)
    return value


def json_of(value: dict[str, Any]) -> str:
    """Return user data as compact JSON."""
    return orjson.dumps(value).decode()


def check_size(
    value: dict[str, Any], max_bytes: int, too_large: TooLarge = UserDataTooLarge
) -> None:
    """Raise what is `too_large` if `value` is longer than `max_bytes` as compact JSON."""
    size = len(orjson.dumps(value))
    if size > max_bytes:
        raise too_large(size, max_bytes)


def check_room_for(stored: dict[str, Any] | None, merged: dict[str, Any]) -> None:
    """Raise `DatabaseFull` if more would be stored than was; None stands for nothing at all."""
    if stored is None or len(orjson.dumps(merged)) > len(orjson.dumps(stored)):
        raise DatabaseFull


def merge(
    stored: dict[str, Any],
    new: dict[str, Any],
    *,
    remove: Iterable[str] = (),
    replace: bool = False,
    max_bytes: int,
    too_large: TooLarge = UserDataTooLarge,
) -> dict[str, Any]:
    """Return `stored` with the top-level keys of `new` put over it.

    ``None`` is a value like any other. `remove` names keys to delete first; with `replace` nothing
    of `stored` is kept. Raises what is `too_large`.
    """
    merged = {} if replace else dict(stored)
    for key in remove:
        merged.pop(key, None)
    merged.update(new)
    check_size(merged, max_bytes, too_large)
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
