"""The AsyncAPI 3.0 document of the Socket.IO events, made from what their handlers declare.

AsyncAPI speaks from the server's side: it *receives* what clients send.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from presence import errors
from presence.errors import PresenceError
from presence.transport.describing import schemas
from presence.transport.describing.schemas import Schema
from presence.transport.wire import described
from presence.transport.wire.described import Event
from presence.transport.wire.server_events import NOTICES

VERSION = "3.0.0"
_CHANNEL = {"$ref": "#/channels/root"}

# Conditions that any event can meet.
_ANY = (
    errors.InternalError,
    errors.InvalidField,
    errors.InvalidJson,
    errors.NotGranted,
    errors.TokenExpired,
    errors.StorageFull,
    errors.StorageUnavailable,
    errors.UnderMaintenance,
)

# By the name of an event: its handler, and the name in its success and error events.
Handlers = Mapping[str, tuple[Callable[..., Any], str]]


def document(handlers: Handlers, version: str, host: str) -> dict[str, Any]:
    """Return the document of these events, of a server at a host (with its port).

    Raises `LookupError` for a handler that declares nothing.
    """
    models: set[type[BaseModel]] = {notice.body for notice in NOTICES.values()}
    for handler, _name in handlers.values():
        declared: Event = described.declaration_of(handler)
        models |= {model for model in (declared.message, declared.answer) if model}
    parts = _Parts(schemas.of_models(models))
    declarations = [described.declaration_of(handler) for handler, _ in handlers.values()]
    schemas.add_hints(parts.components, [item.answer for item in declarations if item.message])
    for name in sorted(handlers):
        handler, stem = handlers[name]
        parts.add_received(name, stem, handler)
    for name, notice in NOTICES.items():
        parts.add_sent(name, notice.summary, schemas.ref(notice.body.__name__))
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Presence",
            "version": version,
            "description": "The events of Socket.IO, in the namespace `/`. Every event from a "
            "client answers its acknowledgement, and is refused with `<event>_error`. The routes "
            "of REST are described in `/api/openapi.json`.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": host,
                "pathname": "/socket.io/",
                "protocol": "ws",
                "description": "Socket.IO 5 over Engine.IO 4, by WebSocket or polling.",
            }
        },
        "channels": {
            "root": {
                "address": "/",
                "title": "The namespace that every client connects to",
                "messages": {
                    name: {"$ref": f"#/components/messages/{name}"} for name in parts.messages
                },
            }
        },
        "operations": parts.operations,
        "components": {"messages": parts.messages, "schemas": parts.components},
    }


def conditions(declared: Event) -> set[type[PresenceError]]:
    """Return every condition that an event can be refused with."""
    return {*declared.errors, *_ANY}


class _Parts:
    """The messages and operations of a document that is being made, by name."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self.components = components
        self.messages: dict[str, Schema] = {}
        self.operations: dict[str, Schema] = {}

    def add_received(self, name: str, stem: str, handler: Callable[..., Any]) -> None:
        """Add an event from clients, its acknowledgement, and the events that answer it."""
        declared: Event = described.declaration_of(handler)
        summary, description = described.sentences_of(handler)
        payload = schemas.ref(declared.message.__name__) if declared.message else {"type": "object"}
        refusal = _refusal(declared)
        answer = self.components[declared.answer.__name__]
        acknowledged = {
            "oneOf": [schemas.with_key(answer, "ok", True), schemas.with_key(refusal, "ok", False)]
        }
        said = f"{name}_acknowledgement"
        self._add_message(name, name, summary, payload)
        self._add_message(said, said, f"What the acknowledgement of `{name}` says", acknowledged)
        self.operations[f"receive_{name}"] = {
            "action": "receive",
            "channel": _CHANNEL,
            "summary": summary,
            "description": description,
            "messages": [_in_channel(name)],
            "reply": {"channel": _CHANNEL, "messages": [_in_channel(said)]},
        }
        if name != stem:
            return
        if declared.success:
            body = schemas.ref(declared.answer.__name__)
            self.add_sent(declared.success, f"`{name}` was done, for the socket that sent it", body)
        self.add_sent(
            f"{name}_error", f"`{name}` could not be done, for the socket that sent it", refusal
        )

    def add_sent(self, name: str, summary: str, payload: Schema) -> None:
        """Add an event from the server."""
        # `signal` and `broadcast` go both ways, with a body of their own each way.
        key = f"{name}_sent" if name in self.messages else name
        self._add_message(key, name, summary, payload)
        self.operations[f"send_{name}"] = {
            "action": "send",
            "channel": _CHANNEL,
            "summary": summary,
            "messages": [_in_channel(key)],
        }

    def _add_message(self, key: str, name: str, summary: str, payload: Schema) -> None:
        self.messages[key] = {
            "name": name,
            "title": name,
            "summary": summary,
            "payload": payload,
            "examples": [{"payload": schemas.example_of(payload, self.components)}],
        }


def _refusal(declared: Event) -> Schema:
    """Return the schema of an event's error."""
    more: Schema = {}
    if declared.error_keys:
        more = schemas.of_models([declared.error_keys])[declared.error_keys.__name__]["properties"]
    return schemas.of_conditions(conditions(declared), more)


def _in_channel(message: str) -> dict[str, str]:
    return {"$ref": f"#/channels/root/messages/{message}"}
