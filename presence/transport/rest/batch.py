"""The REST route of many changes in one request, each of which is made as if it came alone."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote_to_bytes

import orjson
from flask import Blueprint, Flask, current_app, request
from pydantic import FailFast, Field
from werkzeug.exceptions import HTTPException

from presence.errors import (
    AnswersTooLarge,
    IdempotencyKeyInUse,
    InvalidField,
    PresenceError,
    Waiting,
)
from presence.transport.admission import request_paths
from presence.transport.admission.error_handlers import STATUS
from presence.transport.backend import once
from presence.transport.backend.once import PART, Part
from presence.transport.engine.draining import yield_to_others
from presence.transport.process.hinting import json_body
from presence.transport.wire import described, json_codec, messages, server_responses
from presence.transport.wire.messages import Incoming
from presence.transport.wire.needs import needs_token
from presence.transport.wire.serializers import Body

bp = Blueprint("batch_api", __name__)

# Bytes of all answers together, after which nothing more is done.
_MOST_ANSWERED = 4_000_000
# What an environment has of one request and not of another.
_OF_ONE_REQUEST = ("HTTP_IDEMPOTENCY_KEY", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING")
# What an address is made of once it is escaped (RFC 3986): the rest is.
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_REFUSED = "must be the address of a route that changes something and takes JSON, as in /docs/api."

# Changes in one batch.
MOST_IN_BATCH = 100


class BatchItem(Incoming):
    """One change, as it would be sent alone."""

    method: Literal["POST", "PUT", "DELETE"] = "POST"
    """Its method."""
    path: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            pattern="^/api/webrtc/",
            examples=["/api/webrtc/rooms/studio/broadcast"],
        ),
    ]
    """Its address, escaped as in any other request, with a query if it has one."""
    body: Annotated[Any, Field(examples=[{"event": "notice", "data": {"text": "Hello"}}])] = None
    """Its JSON; left out: none."""


class Batch(Incoming):
    """Changes to be made one after the other."""

    requests: Annotated[list[BatchItem], FailFast(), Field(min_length=1, max_length=MOST_IN_BATCH)]
    """Up to 100, each for a route that changes something and takes JSON."""


@bp.post("/api/webrtc/batch")
@described.route(
    group="backend",
    answer=server_responses.BatchAnswer,
    body=Batch,
)
@needs_token
def batch() -> Body:
    """Make up to 100 changes, one after the other, each answered as if it had come alone.

    One that is refused neither holds up the others nor takes them back. Each is counted, and asks
    of the token what it asks alone.
    """
    message = messages.parse(Batch, json_body())
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    key = once.current_key()
    parts = [Part(key, place) if key else None for place in range(len(message.requests))]
    answers: list[Body] = []
    size = 0
    for item, part in zip(message.requests, parts, strict=True):
        yield_to_others()
        once.prolong()
        if size > _MOST_ANSWERED:
            answer = _refusal(AnswersTooLarge())
        else:
            answer, length = _answer(app, item, part)
            size += length
        answers.append(answer)
    body: Body = {"success": True, "responses": answers}
    if any(_is_passing(answer) for answer in answers):
        # Sent again, what was done is answered from what was kept, and the rest is tried again.
        once.release()
    else:
        once.keep_as_whole(body, [part for part in parts if part is not None])
    return body


def _answer(app: Flask, item: BatchItem, part: Part | None) -> tuple[Body, int]:
    """Return the answer to one request, and how many bytes its body has."""
    try:
        environ = _environ(app, item)
    except PresenceError as error:
        return _refusal(error), 0
    if part is not None:
        environ[PART] = part
    told: list[str] = []

    def start(status: str, _headers: Any, _exc_info: Any = None) -> Any:
        told.append(status)

    # With a context of its own, so that nothing of the whole request is taken for this one's.
    with app.app_context():
        pieces = Flask.wsgi_app(app, environ, start)
        try:
            data = b"".join(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
    return {"status": int(told[0].split()[0]), "body": orjson.loads(data)}, len(data)


def _environ(app: Flask, item: BatchItem) -> Body:
    """Return the environment of one request.

    Raises `InvalidField` where it is not for a batch, and `AddressUnreadable`.
    """
    address = quote(item.path.partition("#")[0], safe=_ASCII)
    path, _, query = address.partition("?")
    raw = unquote_to_bytes(path).decode("latin-1")
    request_paths.check_encoding(raw, query)
    decoded = raw.encode("latin-1").decode()
    try:
        adapter = app.url_map.bind("", script_name="/", url_scheme="http")
        endpoint, _values = adapter.match(decoded, method=item.method)
    except HTTPException:
        raise InvalidField("path", _REFUSED) from None
    declared = getattr(app.view_functions[endpoint], "declared", None)
    is_batch = endpoint.rpartition(".")[0] == bp.name
    if declared is None or not declared.takes_key or is_batch:
        raise InvalidField("path", _REFUSED)
    body = b"" if item.body is None else _bytes_of(item.body)
    whole = request.environ
    environ = {
        name: value
        for name, value in whole.items()
        if name not in _OF_ONE_REQUEST and not name.startswith(("werkzeug.", "presence."))
    }
    return environ | {
        "REQUEST_METHOD": item.method,
        "PATH_INFO": raw,
        "QUERY_STRING": query,
        "RAW_URI": address,
        "REQUEST_URI": address,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_ACCEPT": "application/json",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }


def _bytes_of(body: Any) -> bytes:
    """Return JSON of which the request's reader makes the same again; raises `InvalidField`."""
    try:
        return json_codec.dumps_as_read(body)
    except ValueError:
        raise InvalidField("body", "is nested too deeply.") from None


def _is_passing(answer: Body) -> bool:
    """Tell whether a change may be answered otherwise when the batch is sent again."""
    waits = answer["body"].get("code") in (IdempotencyKeyInUse.code, Waiting.code)
    return waits or once.is_passing(answer["status"])


def _refusal(error: PresenceError) -> Body:
    return {"status": STATUS[type(error)], "body": error.body()}
