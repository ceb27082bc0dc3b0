"""Answers with rooms: which are asked for, where the next page is, and their tags."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from flask import Response, request

from presence.errors import InvalidField
from presence.transport.admission import request_access
from presence.transport.live.shared_bodies import SharedBody
from presence.transport.wire import messages
from presence.transport.wire.messages import RoomsQuery

_YES_OR_NO = {"true": True, "1": True, "false": False, "0": False}


def query_of(args: Mapping[str, str]) -> RoomsQuery | None:
    """Return which rooms the query of an address asks for, or None where it asks for nothing.

    Raises `InvalidField`.
    """
    given: dict[str, object] = {
        name: args[name] for name in messages.keys_of(RoomsQuery) if args.get(name)
    }
    if not given:
        return None
    if "active" in given:
        active = _YES_OR_NO.get(args["active"].lower())
        if active is None:
            raise InvalidField("active", "must be true or false.")
        given["active"] = active
    if "limit" in given:
        text = args["limit"]
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InvalidField("limit", "must be a whole number from 1 to 1000.")
        given["limit"] = int(text)
    return messages.parse(RoomsQuery, given)


def link_after(query: RoomsQuery, last_name: str) -> str:
    """Return the header that tells where the page after the room `last_name` is (RFC 8288)."""
    asked = query.model_dump(exclude_none=True) | {"after": last_name}
    if query.active is not None:
        asked["active"] = str(query.active).lower()
    return f'<?{urlencode(asked)}>; rel="next"'


def has(tag: str) -> bool:
    """Tell whether the client says that it has what this tag stands for (RFC 9110, 13.1.2)."""
    return request.if_none_match.contains_weak(tag)


def tagged(tag: str, body: SharedBody | None = None) -> Response:
    """Answer with a body and its tag; with none where the client has it already.

    A client or a proxy may keep the answer, but has to ask each time whether it is still right.
    """
    if body is None:
        response = Response(status=304)
    else:
        response = Response(body, mimetype="application/json")
        response.content_length = len(body)
    response.set_etag(tag)
    response.cache_control.no_cache = True
    if request_access.caller() is not None:
        response.cache_control.private = True
    return response
