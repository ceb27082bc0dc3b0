"""The documents that describe the API: OpenAPI for its routes, AsyncAPI for its events."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, request

from presence.config import VERSION
from presence.transport import access, answers, asyncapi, described, openapi
from presence.transport.runtime import runtime

bp = Blueprint("descriptions_api", __name__, url_prefix="/api")


@bp.get("/openapi.json")
@access.public
@described.route(group="operations", answer=answers.Document, uses_storage=False)
def openapi_document() -> dict[str, Any]:
    """Describe every route as an OpenAPI 3.1 document."""
    return openapi.document(current_app, VERSION)


@bp.get("/asyncapi.json")
@access.public
@described.route(group="operations", answer=answers.Document, uses_storage=False)
def asyncapi_document() -> dict[str, Any]:
    """Describe every Socket.IO event as an AsyncAPI 3.0 document."""
    return asyncapi.document(runtime().event_handlers, VERSION, request.host)
