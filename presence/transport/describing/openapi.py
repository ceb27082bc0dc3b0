"""The OpenAPI 3.1 document of the REST routes, made from what they declare (see `described`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from flask import Flask
from pydantic import BaseModel
from werkzeug.routing import Rule

from presence import errors
from presence.errors import PresenceError
from presence.transport.admission.error_handlers import STATUS
from presence.transport.describing import schemas
from presence.transport.describing.schemas import Schema
from presence.transport.wire import described, needs
from presence.transport.wire.described import Route
from presence.transport.wire.messages import PeerId, RoomName
from presence.transport.wire.needs import Need
from presence.transport.wire.server_responses import WebhookRequest

VERSION = "3.1.0"
_JSON = "application/json"
_FORM = "multipart/form-data"
_SCHEME = "token"

# What these blueprints serve is for people, who read a page and not its description.
PAGES = {"pages", "pictures", "admin_page", "doctor", "doctor_probes", "api_page", "clients"}

GROUPS = {
    "rooms": "Rooms, the peers in them, and what happened there.",
    "files": "Files of peers: images and documents, known by their content.",
    "calls": "What calls between peers need.",
    "publishing": "What a backend says in a room, in the server's name.",
    "access": "Of a locked server: tokens, and what an admin does to others.",
    "backend": "For a backend that is told what happens.",
    "operations": "For whoever runs the server: its health, its figures, its description.",
}

# Conditions that a route can meet because of what it is, without declaring them.
_ANY = (
    errors.InternalError,
    errors.TooManyRequests,
    errors.TooManyAtOnce,
    errors.HostRefused,
    errors.AddressUnreadable,
    errors.PrefixRefused,
    errors.OriginRefused,
)
_STORED = (errors.StorageUnavailable,)
_WRITES = (errors.StorageFull, errors.UnderMaintenance)
_WITH_BODY = (
    errors.InvalidJson,
    errors.InvalidField,
    errors.MessageTooLarge,
    errors.CodingRefused,
)
_WITH_KEY = (
    errors.InvalidField,
    errors.IdempotencyKeyReused,
    errors.IdempotencyKeyInUse,
    errors.AnswerNotKept,
    errors.TooManyIdempotencyKeys,
    errors.DatabaseFull,
)
_WITH_NAMES = (errors.InvalidField, errors.AddressUnknown)


_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of this request, the same when it is sent again within a day: then it "
    "is not done again, and answered as before.",
    "schema": {"type": "string", "pattern": r'^"?[!#-+\--:<-\[\]-~]{1,255}"?$'},
}


class PathParameters(BaseModel):
    """The parts of addresses that stand for something."""

    room_name: RoomName
    peer_id: PeerId
    filename: str
    upload_id: str


def rules(app: Flask) -> list[tuple[str, str, Rule]]:
    """Return (path, method, rule) of every route that is not a page, as OpenAPI writes paths."""
    found = []
    for rule in app.url_map.iter_rules():
        blueprint = rule.endpoint.rpartition(".")[0]
        if rule.endpoint == "static" or blueprint in PAGES:
            continue
        path = re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule)
        found += [(path, method, rule) for method in sorted(_methods(rule))]
    return sorted(found, key=lambda item: item[:2])


def document(app: Flask, version: str) -> dict[str, Any]:
    """Return the document; raises `LookupError` for a route that declares nothing."""
    paths: dict[str, Any] = {}
    models: set[type[BaseModel]] = {PathParameters, WebhookRequest}
    conditions: set[type[PresenceError]] = set()
    hinted: list[type[BaseModel] | None] = []
    for path, method, rule in rules(app):
        view = app.view_functions[rule.endpoint]
        declared: Route = described.declaration_of(view)
        models |= {
            model
            for model in (declared.answer, declared.body, declared.form)
            if isinstance(model, type)
        }
        takes_keys = declared.body or declared.form or declared.query
        if takes_keys and isinstance(declared.answer, type) and not declared.is_of_names:
            hinted.append(declared.answer)
        need = needs.need_of(app, rule.endpoint) or needs.PUBLIC
        met = _conditions(declared, method, rule, need)
        conditions |= set(met)
        summary, description = described.sentences_of(view)
        operation = {
            "operationId": rule.endpoint.rpartition(".")[2],
            "tags": [declared.group],
            "security": _security(need),
            "summary": summary,
            "description": description,
            "parameters": _parameters(rule, declared, method),
            "requestBody": _request_body(declared),
            "responses": _responses(declared, met),
        }
        paths.setdefault(path, {})[method.lower()] = {
            key: value for key, value in operation.items() if value
        }
    components = schemas.of_models(models)
    components.pop(PathParameters.__name__)
    schemas.add_hints(components, hinted)
    components |= {schemas.name_of(item): schemas.of_condition(item) for item in conditions}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Presence",
            "version": version,
            "description": "Who is in a room, who was, and how to reach them. Every error has "
            "`code`, for programs, and `detail`, a sentence for people. The events of Socket.IO "
            "are described in `/api/asyncapi.json`.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": paths,
        "webhooks": {"events": {"post": _webhook()}},
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                _SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A locked server wants one. An open one needs none.",
                }
            },
        },
    }


def _webhook() -> Schema:
    """Return what the server itself sends to the addresses in ``PRESENCE_WEBHOOK_URLS``."""
    described_headers = {
        "webhook-id": "Of this request, the same when the same events are sent again.",
        "webhook-timestamp": "When it was sent, in seconds since 1970.",
        "webhook-signature": "As Standard Webhooks has it: `v1,` and HMAC-SHA256 in base64, "
        "once for each secret, separated by spaces.",
    }
    return {
        "operationId": "receive_events",
        "tags": ["backend"],
        "security": [],
        "summary": "Take events, at least once each, in the order of each room",
        "description": "Any 2xx takes all of them. Everything else is tried again, with growing "
        "waits, for three days. Redirects are not followed.",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in described_headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": schemas.ref(WebhookRequest.__name__)}},
        },
        "responses": {"2XX": {"description": "The events were taken."}},
    }


def _methods(rule: Rule) -> set[str]:
    return (rule.methods or set()) - {"HEAD", "OPTIONS"}


def _security(need: Need) -> list[dict[str, list[str]]]:
    """Return the ways to get at a route: with a token, or without where that may do."""
    if need.grant is None and not need.any_token:
        return []
    return [{_SCHEME: []}, *([] if need.locked_only else [{}])]


def _conditions(declared: Route, method: str, rule: Rule, need: Need) -> list[type[PresenceError]]:
    """Return every condition that a route can be answered with."""
    met = {*declared.errors, *_ANY, *needs.refusals(need)}
    if declared.uses_storage:
        met |= {*_STORED, *(_WRITES if method != "GET" else ())}
    if method != "GET" and declared.takes_key:
        met |= set(_WITH_KEY)
    if declared.body or declared.form:
        met |= set(_WITH_BODY)
    if rule.arguments or declared.query or declared.headers:
        met |= set(_WITH_NAMES)
    return sorted(met, key=lambda condition: (STATUS[condition], condition.code))


def _parameters(rule: Rule, declared: Route, method: str) -> list[Schema]:
    fields = PathParameters.model_json_schema()["properties"]
    found = [
        {"name": name, "in": "path", "required": True, "schema": _bare(fields[name])}
        for name in re.findall(r"<(?:[^:<>]+:)?(\w+)>", rule.rule)
    ]
    if method != "GET" and declared.takes_key:
        found.append(_KEY)
    for place, model in (("query", declared.query), ("header", declared.headers)):
        if model is None:
            continue
        schema = model.model_json_schema()
        for name, part in schema["properties"].items():
            found.append(
                {
                    "name": name,
                    "in": place,
                    "required": name in schema.get("required", []),
                    "description": part.get("description", ""),
                    "schema": _bare(part),
                }
            )
    return found


def _bare(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in ("title", "description")}


def _request_body(declared: Route) -> Schema | None:
    if declared.media_type:
        schema = {"type": "string", "format": "binary"}
        return {"required": False, "content": {declared.media_type: {"schema": schema}}}
    model, media_type = (declared.body, _JSON) if declared.body else (declared.form, _FORM)
    if model is None:
        return None
    schema = model.model_json_schema()
    return {
        # One that asks for nothing by itself may be left out.
        "required": bool(schema.get("required") or schema.get("anyOf")),
        "content": {media_type: {"schema": schemas.ref(model.__name__)}},
    }


def _responses(declared: Route, met: Iterable[type[PresenceError]]) -> Schema:
    if isinstance(declared.answer, tuple):
        content: Schema = {media_type: {"schema": {}} for media_type in declared.answer}
        description = "As it was asked for."
    else:
        content = {_JSON: {"schema": schemas.ref(declared.answer.__name__)}}
        description = " ".join((declared.answer.__doc__ or "").split())
    success = {"description": description, **({"content": content} if content else {})}
    statuses = [declared.status, *([declared.also] if declared.also else [])]
    responses: Schema = {str(status): success for status in statuses}
    by_status: dict[int, list[type[PresenceError]]] = {}
    for condition in met:
        by_status.setdefault(STATUS[condition], []).append(condition)
    for status, group in by_status.items():
        refs = [schemas.ref(schemas.name_of(condition)) for condition in group]
        responses[str(status)] = {
            "description": " ".join(schemas.paragraph(condition) for condition in group),
            "content": {_JSON: {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}}},
        }
    return responses
