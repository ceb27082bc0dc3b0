"""The one way in which an event is handled: called with its message, and answered, always.

Everything that holds for every event belongs here: how an answer is made of a body or of an error,
and what is asked before a handler runs.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from presence.transport.admission import socket_access
from presence.transport.admission.error_handlers import as_presence_error
from presence.transport.admission.socket_access import Handler
from presence.transport.engine.packets import Malformed
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body


def register(
    run: Runtime,
    name: str,
    handler: Handler,
    need: Need,
    *,
    event: str | None = None,
    in_app: bool = True,
) -> None:
    """Let `handler` handle an event, from sockets that have what it needs.

    `event` is its name in its error event. Flask-SocketIO's server calls it directly: the request
    context that Flask-SocketIO would make first, of the request that opened the connection, costs
    as much as several queries, and nothing here asks it for anything. With `in_app` the handler
    has an app context, which the database needs; what needs one rarely opens it by itself.
    """
    guarded = _guarded(run, name, handler, need)
    event = event or name
    message = described.declaration_of(handler).message

    def handle(sid: str, *args: Any) -> Body:
        return answer(run, event, sid, guarded, args, message=message)

    def handle_in_app(sid: str, *args: Any) -> Body:
        with run.app.app_context():
            return answer(run, event, sid, guarded, args, message=message)

    run.event_handlers[name] = (guarded, event)
    run.stall_meter.know(answer, lambda frame: f"the event {frame.f_locals['event']}")
    run.socketio.server.on(name, handle_in_app if in_app else handle)


def answer(
    run: Runtime,
    event: str,
    sid: str,
    handler: Handler,
    args: tuple[Any, ...],
    *,
    message: type[BaseModel] | None = None,
) -> Body:
    """Call a handler with an event's message, and return what its acknowledgement says.

    That is the handler's body, or the error that it raised, with ``ok`` added, and ``hints`` where
    keys only resemble those of the `message`. An error also goes out as ``<event>_error``, for
    clients that ask for no acknowledgement.
    """
    known = event if event in run.event_handlers else "unknown"
    data = args[0] if args else None
    try:
        if isinstance(data, Malformed):
            data.raise_for_length()
        body = {"ok": True, **handler(run, sid, data), **messages.hinted(data, message)}
        run.counters.events[known, "ok"] += 1
        return body
    except Exception as exception:
        error = as_presence_error(exception, event=event, sid=sid)
        run.counters.events[known, error.code] += 1
        told = {**error.body(), **messages.hinted(data, message)}
        run.sockets.send(sid, f"{event}_error", told)
        return {"ok": False, **told}


def _guarded(run: Runtime, name: str, handler: Handler, need: Need) -> Handler:
    run.access.event_needs[name] = need
    return socket_access.guarded(run.access, need, handler)
