"""The documents that describe the API: OpenAPI for its routes, AsyncAPI for its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, current_app, request

from presence.config import VERSION
from presence.transport.describing import asyncapi, openapi
from presence.transport.process.runtime import runtime
from presence.transport.wire import described, server_responses
from presence.transport.wire.needs import public

bp = Blueprint("descriptions_api", __name__, url_prefix="/api")


@bp.get("/openapi.json")
@public
@described.route(group="operations", answer=server_responses.Document, uses_storage=False)
def openapi_document() -> dict[str, Any]:
    """Describe every route as an OpenAPI 3.1 document."""
    made = _made_once("openapi", lambda: openapi.document(current_app, VERSION))
    return {**made, "servers": [{"url": request.script_root or "/"}]}


@bp.get("/asyncapi.json")
@public
@described.route(group="operations", answer=server_responses.Document, uses_storage=False)
def asyncapi_document() -> dict[str, Any]:
    """Describe every Socket.IO event as an AsyncAPI 3.0 document."""
    made = _made_once(
        "asyncapi", lambda: asyncapi.document(runtime().event_handlers, VERSION, "localhost")
    )
    here = {**made["servers"]["this"], "host": request.host}
    here["pathname"] = request.script_root + here["pathname"]
    return {**made, "servers": {"this": here}}


def _made_once(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a document, which is made when it is first asked for: it takes a while."""
    made: dict[str, dict[str, Any]] = current_app.extensions.setdefault("presence.documents", {})
    if name not in made:
        made[name] = make()
    return made[name]
