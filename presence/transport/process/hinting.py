"""What a request over REST sent: its JSON, and hints at keys that are none, but resemble one."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import orjson
from flask import Flask, Response, g, request

from presence.domain.values import key_hints
from presence.errors import InvalidJson
from presence.transport.process.runtime import Runtime
from presence.transport.wire import json_codec
from presence.transport.wire.described import Route
from presence.transport.wire.messages import keys_of

# Bytes of an answer that gets hints: a longer one, such as a list of thousands, would take too long
# to be read and written once more.
_MOST_READ_AGAIN = 1_000_000
HEADER = "Presence-Hints"


def init_app(run: Runtime) -> None:
    """Add the hints to what the app answers, be it a success or an error.

    Where the keys of the answer are names of rooms, they stand in a header.
    """
    app = run.app

    @app.after_request
    def add(response: Response) -> Response:
        found = _found(app) if request.args or "sent" in g else []
        if found and response.status_code < 400 and _is_of_names(app):
            response.headers[HEADER] = json.dumps(found)
            exposed = response.headers.get("Access-Control-Expose-Headers")
            response.headers["Access-Control-Expose-Headers"] = ", ".join(
                filter(None, (exposed, HEADER))
            )
        elif (
            found
            and response.mimetype == "application/json"
            and not response.is_streamed
            and (response.content_length or 0) <= _MOST_READ_AGAIN
        ):
            body = orjson.loads(response.get_data())
            if isinstance(body, dict):
                response.set_data(json_codec.dumps({**body, "hints": found}))
        return response


def note(sent: Any, known: Collection[str] | None = None) -> None:
    """Note what the current request sent besides its address: an object, or the fields of a form.

    `known` are the keys that it may have; otherwise those of the body that the route declares.
    """
    if isinstance(sent, dict):
        g.sent = (sent.keys(), known)


def _declared(app: Flask) -> Route | None:
    view = app.view_functions.get(request.endpoint or "")
    declared: Route | None = getattr(view, "declared", None)
    return declared


def _is_of_names(app: Flask) -> bool:
    """Tell whether the current request is answered with an object whose keys are anybody's."""
    declared = _declared(app)
    return declared is not None and declared.is_of_names


def _found(app: Flask) -> list[str]:
    declared = _declared(app)
    if declared is None:
        return []
    found = _hints(request.args.keys(), keys_of(declared.query) if declared.query else ())
    if "sent" in g:
        keys, known = g.sent
        body = declared.body or declared.form
        found += _hints(keys, known or (keys_of(body) if body else ()))
    return found


def _hints(keys: Collection[str], known: Collection[str]) -> list[str]:
    return [] if all(key in known for key in keys) else key_hints.hints(keys, known)


def json_body() -> Any:
    """Return the request's JSON, whatever its Content-Type says; raises `InvalidJson`."""
    data = request.get_data()
    try:
        body = json_codec.loads(data) if data else {}
    except json_codec.TooManyValues as error:
        raise InvalidJson(f"The body is not read: {error}. Send less at once.") from error
    except ValueError as error:
        raise InvalidJson(
            "The body is not valid JSON. Send a JSON object with Content-Type: application/json."
        ) from error
    note(body)
    return body
