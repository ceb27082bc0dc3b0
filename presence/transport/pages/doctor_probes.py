"""What the doctor asks to find the slips of a proxy: how a request arrives, and an answer."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator

from flask import Blueprint, Response, request

from presence.errors import AddressUnknown
from presence.transport.process.runtime import runtime
from presence.transport.websocket.elsewhere import UPGRADE
from presence.transport.wire.needs import public
from presence.transport.wire.serializers import Body

bp = Blueprint("doctor_probes", __name__, url_prefix="/doctor")

_KEY = re.compile(r"[0-9a-f]{8,32}")
_REMEMBERED = 100
_SECONDS_BETWEEN = 1.0

# How the last requests for a WebSocket arrived, by what their page called them.
_arrived: OrderedDict[str, Body] = OrderedDict()
_guard = threading.Lock()


@bp.get("/upgrade/<key>")
@public
def note_upgrade(key: str) -> tuple[Body, int]:
    """Note how a browser's request for a WebSocket arrived, and refuse it."""
    _check(key)
    asked = {part.strip().lower() for part in request.headers.get("Connection", "").split(",")}
    with _guard:
        _arrived[key] = {
            "upgrade": str(request.environ.get(UPGRADE, "")).lower() == "websocket",
            "connection": "upgrade" in asked,
            "protocol": request.environ.get("SERVER_PROTOCOL", ""),
        }
        while len(_arrived) > _REMEMBERED:
            _arrived.popitem(last=False)
    return {"code": "noted", "detail": "How this request arrived was noted for the doctor."}, 426


@bp.get("/seen/<key>")
@public
def seen(key: str) -> tuple[Body, dict[str, str]]:
    """Return how the request of `note_upgrade` arrived at this process, if it did."""
    _check(key)
    with _guard:
        note = _arrived.pop(key, None)
    return {"came": note is not None, **(note or {})}, {"Cache-Control": "no-store"}


@bp.get("/trickle")
@public
def trickle() -> Response:
    """Return an answer in two halves, one second apart."""
    sleep = runtime().socketio.sleep

    def halves() -> Iterator[bytes]:
        yield b"drip\n"
        sleep(_SECONDS_BETWEEN)
        yield b"drop\n"

    response = Response(halves(), mimetype="text/plain")
    response.headers["Cache-Control"] = "no-store"
    return response


def _check(key: str) -> None:
    """Raise `AddressUnknown` for what no doctor has made up."""
    if not _KEY.fullmatch(key):
        raise AddressUnknown
