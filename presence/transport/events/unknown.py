"""What is answered to an event that the server does not know."""

from __future__ import annotations

from functools import partial
from typing import Any

from presence.errors import UnknownEvent
from presence.transport.events import dispatch
from presence.transport.process.runtime import Runtime
from presence.transport.wire.serializers import Body


def init_app(run: Runtime) -> None:
    """Answer whatever nobody else has registered for."""
    run.socketio.server.on("*", partial(on_unknown_event, run))


def on_unknown_event(run: Runtime, event: str, sid: str, *_args: Any) -> Body:
    """Answer an event that the server does not know."""
    # It is repeated in the answer, so it has to be text that can be sent.
    shown = event[:64].encode("utf-8", "replace").decode()
    *others, last = [name for name, (_, stem) in run.event_handlers.items() if name == stem]
    known = f"{', '.join(others)} and {last}"

    def refuse(_run: Runtime, _sid: str, _data: Any) -> Body:
        raise UnknownEvent(f"The server knows no event “{shown}”. It knows {known}.")

    return dispatch.answer(run, shown, sid, refuse, ())
