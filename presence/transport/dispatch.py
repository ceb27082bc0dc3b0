"""The one way in which an event is handled: called with its message, and answered, always.

Everything that holds for every event belongs here: how an answer is made of a body or of an error,
and what is asked before a handler runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import request

from presence.transport import access
from presence.transport.access import Need
from presence.transport.error_handlers import as_presence_error
from presence.transport.wire import Body

if TYPE_CHECKING:
    from presence.transport.runtime import Runtime

Handler = Callable[["Runtime", str, Any], Body]


def register(
    run: Runtime, name: str, handler: Handler, need: Need, *, event: str | None = None
) -> None:
    """Let `handler` handle an event, in an app context, from sockets that have what it needs.

    `event` is its name in its error event.
    """
    handler = _guarded(run, name, handler, need)

    def handle(*args: Any) -> Body:
        return answer(run, event or name, current_sid(), handler, args)

    run.event_handlers[name] = (handler, event or name)
    run.socketio.on_event(name, handle)


def register_beside_flask(run: Runtime, name: str, handler: Handler, need: Need) -> None:
    """Like `register`, but without Flask's request and app context, which cost more than a relay.

    A handler that needs the database opens an app context of its own.
    """
    handler = _guarded(run, name, handler, need)

    def handle(sid: str, *args: Any) -> Body:
        return answer(run, name, sid, handler, args)

    run.event_handlers[name] = (handler, name)
    run.socketio.server.on(name, handle)


def answer(run: Runtime, event: str, sid: str, handler: Handler, args: tuple[Any, ...]) -> Body:
    """Call a handler with an event's message, and return what its acknowledgement says.

    That is the handler's body, or the error that it raised, with ``ok`` added. An error also goes
    out as ``<event>_error``, for clients that ask for no acknowledgement.
    """
    known = event if event in run.event_handlers else "unknown"
    try:
        body = {"ok": True, **handler(run, sid, args[0] if args else None)}
        run.counters.events[known, "ok"] += 1
        return body
    except Exception as exception:
        error = as_presence_error(exception)
        run.counters.events[known, error.code] += 1
        run.socketio.server.emit(f"{event}_error", error.body(), to=sid)
        return {"ok": False, **error.body()}


def _guarded(run: Runtime, name: str, handler: Handler, need: Need) -> Handler:
    run.access.event_needs[name] = need
    return access.guarded(run, need, handler)


def current_sid() -> str:
    """Return the Socket.IO id of the socket whose event Flask-SocketIO is handling."""
    sid: str = request.sid  # type: ignore[attr-defined]
    return sid
