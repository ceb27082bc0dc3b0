"""The page of the API: every route and event for a person to read, made from the two documents."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, render_template, request

from presence.transport.admission.security_headers import protect_page
from presence.transport.describing import schemas
from presence.transport.describing.descriptions import asyncapi_document, openapi_document
from presence.transport.describing.schemas import Schema
from presence.transport.pages import request_samples
from presence.transport.pages.request_samples import body_of
from presence.transport.process.runtime import runtime
from presence.transport.wire import described
from presence.transport.wire.needs import public
from presence.transport.wire.server_events import NOTICES

bp = Blueprint("api_page", __name__)
bp.after_request(protect_page)

Body = dict[str, Any]


@bp.get("/docs/api")
@public
def api_page() -> str:
    """Show every route, every event and every error, with examples to copy."""
    routes, events = openapi_document(), asyncapi_document()
    groups = [
        {
            "name": tag["name"],
            "about": tag["description"],
            "routes": [
                _route(path, method, operation, routes)
                for path, item in routes["paths"].items()
                for method, operation in item.items()
                if operation["tags"][0] == tag["name"]
            ],
        }
        for tag in routes["tags"]
    ]
    return render_template(
        "api.html",
        groups=groups,
        taken=[_taken(name, events) for name in sorted(runtime().event_handlers)],
        sent=[_sent(name, events) for name in NOTICES],
        webhook=_webhook(routes),
        errors=_errors(routes, events),
        server=request.root_url.rstrip("/"),
    )


@bp.get("/docs/samples.json")
@public
def samples() -> Body:
    """Return a message of each event that a client sends, for the console of a room's page."""
    messages = asyncapi_document()["components"]["messages"]
    return {name: messages[name]["examples"][0]["payload"] for name in runtime().event_handlers}


def _route(path: str, method: str, operation: Body, document: Body) -> Body:
    """Return what the page shows of a route."""
    components = document["components"]["schemas"]
    _, body = body_of(operation)
    success = next(filter(_is_success, operation["responses"]))
    content = operation["responses"][success].get("content", {})
    answered = content.get("application/json")
    parameters = operation.get("parameters", [])
    root = request.root_url.rstrip("/")
    made = request_samples.sample(root, method, path, operation, components)
    refused = [
        (status, components[ref["$ref"].rpartition("/")[2]]["properties"]["code"]["const"])
        for status, response in operation["responses"].items()
        if not _is_success(status)
        for ref in _refs(response["content"]["application/json"]["schema"])
    ]
    return {
        "id": operation["operationId"].replace("_", "-"),
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "about": operation.get("description", ""),
        "parameters": [
            _field(item["name"], {**item["schema"], **_text(item)}, required=item["required"])
            | {"where": item["in"]}
            for item in parameters
        ],
        "fields": _fields(body, components) if body else [],
        "operation": operation["operationId"],
        "samples": {
            "curl": request_samples.curl(made),
            "JavaScript": request_samples.javascript(made),
            "Python": request_samples.python(made),
        },
        "answer": _pretty(schemas.example_of(answered["schema"], components)) if answered else "",
        "media_types": [] if answered else list(content),
        "answer_fields": _fields(answered["schema"], components) if answered else [],
        "refused": refused,
    }


def _webhook(document: Body) -> Body:
    """Return what the page shows of the requests that backends get, and of each event in them."""
    operation = document["webhooks"]["events"]["post"]
    components = document["components"]["schemas"]
    body = schemas.resolved(body_of(operation)[1] or {}, components)
    told = []
    for ref in body["properties"]["events"]["items"]["anyOf"]:
        schema = components[ref["$ref"].rpartition("/")[2]]
        kind = schema["properties"]["type"]
        names = kind.get("enum") or [kind["const"]]
        told.append(
            {
                "id": f"told-{names[0].replace('_', '-')}",
                "names": names,
                "summary": schema["description"],
                "example": _pretty(schemas.example_of(schema, components)),
                "fields": _fields(schema, components),
            }
        )
    return {
        "summary": operation["summary"],
        "about": operation["description"],
        "headers": [
            _field(item["name"], {**item["schema"], **_text(item)}, required=item["required"])
            for item in operation["parameters"]
        ],
        "told": told,
    }


def _is_success(status: str) -> bool:
    return status.startswith("2")


def _taken(name: str, document: Body) -> Body:
    """Return what the page shows of an event that clients send."""
    handler, stem = runtime().event_handlers[name]
    declared = described.declaration_of(handler)
    messages, components = document["components"]["messages"], document["components"]["schemas"]
    payload = messages[name]["payload"]
    example = messages[name]["examples"][0]["payload"]
    said = f", {json.dumps(example, ensure_ascii=False)}"
    summary, about = described.sentences_of(handler)
    refusal = messages[f"{name}_acknowledgement"]["payload"]["oneOf"][1]
    return {
        "id": f"event-{name.replace('_', '-')}",
        "name": name,
        "summary": summary,
        "about": about,
        "short_for": stem if stem != name else None,
        "fields": _fields(payload, components),
        "samples": {
            "JavaScript": f'socket.emit("{name}"{said}, (answer) => console.log(answer));',
            "Python": f'print(client.call("{name}", {example!r}))',
        },
        "answer": _pretty(messages[f"{name}_acknowledgement"]["examples"][0]["payload"]),
        "success": declared.success,
        "error": f"{stem}_error",
        "heard": declared.heard,
        "refused": [(None, code) for code in refusal["properties"]["code"]["enum"]],
    }


def _sent(name: str, document: Body) -> Body:
    """Return what the page shows of an event that the server sends of itself."""
    messages, components = document["components"]["messages"], document["components"]["schemas"]
    message = messages.get(f"{name}_sent") or messages[name]
    return {
        "id": f"heard-{name.replace('_', '-')}",
        "name": name,
        "summary": message["summary"],
        "fields": _fields(message["payload"], components),
        "samples": {
            "JavaScript": f'socket.on("{name}", (body) => console.log(body));',
            "Python": f'client.on("{name}", print)',
        },
        "example": _pretty(message["examples"][0]["payload"]),
    }


def _errors(routes: Body, events: Body) -> list[Body]:
    """Return every code there is, with when it comes and the status that it has over REST."""
    statuses: dict[str, str] = {}
    for item in routes["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get("application/json", {})
                for ref in [] if _is_success(status) else _refs(content.get("schema", {})):
                    statuses[ref["$ref"].rpartition("/")[2]] = status
    found = {
        condition.code: {
            "code": condition.code,
            "status": statuses.get(schemas.name_of(condition), ""),
            "when": schemas.paragraph(condition),
            "keys": list(schemas.extra_keys(condition)),
        }
        for condition in schemas.conditions()
    }
    return [found[code] for code in sorted(found)]


def _fields(schema: Schema, components: dict[str, Schema]) -> list[Body]:
    """Return the fields of an object, each with its type in words."""
    schema = schemas.resolved(schema, components)
    required = schema.get("required", [])
    return [
        _field(name, part, required=name in required)
        for name, part in schema.get("properties", {}).items()
    ]


def _field(name: str, schema: Schema, *, required: bool) -> Body:
    return {
        "name": name,
        "type": schemas.in_words(schema),
        "required": required,
        "about": schema.get("description", ""),
    }


def _text(parameter: Body) -> Body:
    return {"description": parameter["description"]} if parameter.get("description") else {}


def _refs(schema: Schema) -> list[Schema]:
    refs: list[Schema] = schema.get("oneOf") or ([schema] if "$ref" in schema else [])
    return refs


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
