"""The floor: a relay on eventlet's WebSocket and nothing else.

It speaks just enough of Socket.IO for the same load, keeps who is where in a dictionary, and
checks nothing, so it shows the least that a relay costs on this stack. eventlet's own loop over
every byte of a masked frame is replaced by one XOR, or the floor would lie far above the server.
"""

from __future__ import annotations

import os
from typing import Any

import eventlet
import eventlet.websocket
import eventlet.wsgi
import orjson

eventlet.monkey_patch()

_PING_SECONDS = float(os.environ.get("PING_SECONDS", "5"))
_HANDSHAKE = {"upgrades": [], "pingInterval": 5000, "pingTimeout": 5000, "maxPayload": 1_000_000}
_ids = iter(range(1, 1 << 62))
_peers: dict[tuple[str, str], Any] = {}


def _unmask(data: bytes, mask: bytes, length: int | None = None, offset: int = 0) -> bytes:
    size = len(data) if length is None else length
    start = offset % 4
    key = int.from_bytes((mask[start:] + mask * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(data[:size], "big") ^ key).to_bytes(size, "big")


eventlet.websocket.RFC6455WebSocket._apply_mask = staticmethod(_unmask)


def serve(ws: Any) -> None:
    """Serve one client."""
    number = next(_ids)
    ws.send("0" + orjson.dumps({"sid": f"e{number}", **_HANDSHAKE}).decode())
    place: tuple[str, str] = ("", "")
    pinging = eventlet.spawn(_ping, ws)
    while (message := ws.wait()) is not None:
        if message == "40":
            ws.send("40" + orjson.dumps({"sid": f"s{number}"}).decode())
        elif message.startswith("42"):
            start = message.index("[")
            ack = message[2:start]
            event, body = orjson.loads(message[start:])
            if event == "signal":
                _relay(ws, place, ack, body)
            elif event == "join_room":
                place = (body["room_name"], body["peer_id"])
                _peers[place] = ws
                answer = {"room_name": place[0], "total_peers": 1, "peers": []}
                ws.send("42" + orjson.dumps(["join_room_success", answer]).decode())
    pinging.kill()
    _peers.pop(place, None)


def _relay(ws: Any, place: tuple[str, str], ack: str, body: dict[str, Any]) -> None:
    signal = {
        "from": place[1],
        "room_name": place[0],
        "type": body["type"],
        "data": body["data"],
    }
    _peers[place[0], body["to"]].send("42" + orjson.dumps(["signal", signal]).decode())
    if ack:
        answer = {"ok": True, "status": "delivered", "to": body["to"], "type": body["type"]}
        ws.send(f"43{ack}" + orjson.dumps([answer]).decode())


def _ping(ws: Any) -> None:
    while True:
        eventlet.sleep(_PING_SECONDS)
        ws.send("2")


if __name__ == "__main__":
    listener = eventlet.listen(("127.0.0.1", int(os.environ["PORT"])), backlog=1024)
    eventlet.wsgi.server(
        listener, eventlet.websocket.WebSocketWSGI(serve), log_output=False, max_size=20_000
    )
