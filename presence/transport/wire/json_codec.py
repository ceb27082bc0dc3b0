"""JSON as the server reads and writes it, over REST and Socket.IO alike.

Writing is orjson's, which is fast and never emits what a browser cannot parse. Reading is lenient
on purpose: Python clients send ``NaN``, infinite numbers and halves of surrogate pairs, and a
message that holds one must reach the validation, which answers with the name of the field. A
reader that refused it would leave only silence, for there would be no event to answer.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from flask import Flask, Response
from flask.json.provider import JSONProvider

# Characters of a text that is read leniently. Python's reader takes up to 300 ns for each, sixty
# times as long as orjson, and what is longer than this fits into no field.
_MOST_READ_LENIENTLY = 128 * 1024
# Commas and brackets of a text, also those in its strings: each may be a value, of which there are
# made 300,000 from a megabyte of empty lists, in 60 ms.
_MOST_SEPARATORS = 200_000


class TooManyValues(ValueError):
    """A text may have more values than any message needs."""

    def __init__(self) -> None:
        super().__init__(f"it has more than {_MOST_SEPARATORS:,} commas and brackets")


class FlaskJson(JSONProvider):
    """Flask's JSON, by way of this module."""

    mimetype = "application/json"

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Serialise `obj`, indented and in a new line's end for people when debugging."""
        option = orjson.OPT_INDENT_2 if kwargs.get("indent") else None
        return orjson.dumps(obj, option=option).decode()

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Answer with JSON, whose bytes need not become a string on the way."""
        body = orjson.dumps(self._prepare_response_obj(args, kwargs))
        return Response(body, mimetype=self.mimetype)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse `s`; raises `ValueError`."""
        return loads(s)


def init_app(app: Flask) -> None:
    """Make Flask use this JSON."""
    app.json = FlaskJson(app)


def dumps(value: Any, *_args: Any, **_kwargs: Any) -> str:
    """Serialise `value` to compact JSON; the signature is what python-socketio calls."""
    return orjson.dumps(value).decode()


def dumps_as_read(value: Any) -> bytes:
    """Serialise what `loads` has read, so that it reads the same again; raises `ValueError`.

    What only Python writes stays what it is, where `dumps` would refuse it or make it null.
    """
    try:
        encoded = orjson.dumps(value)
        if orjson.loads(encoded) == value:
            return encoded
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        pass
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return text.encode("utf-8", "surrogatepass")


def loads(text: str | bytes, *_args: Any, **_kwargs: Any) -> Any:
    """Parse JSON, accepting what only Python writes; raises `ValueError` for anything else.

    In a text of more than 128 KiB what only Python writes is an error as well. What may have more
    than 200,000 values is not read: `TooManyValues`.
    """
    if len(text) > _MOST_SEPARATORS and _separators(text) > _MOST_SEPARATORS:
        raise TooManyValues
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if len(text) > _MOST_READ_LENIENTLY:
            raise
        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _separators(text: str | bytes) -> int:
    if isinstance(text, str):
        return sum(map(text.count, ",[{"))
    return sum(map(text.count, (b",", b"[", b"{")))
