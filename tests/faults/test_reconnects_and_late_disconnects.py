"""A peer that reconnects while its old connection ends, in every order: it stays active.

`PRESENCE_TEST_ROUNDS` is the number of interleavings (1,000 for a full campaign).
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import requests
import websocket

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.raw_socket import RawSocket

ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "20"))
JOIN = '42["join_room",{"room_name":"%s","peer_id":"back","username":"Back"}]'

# How an old connection can end: without a word, with a WebSocket close, or as its client wished.
ENDINGS: dict[str, Callable[[RawSocket], None]] = {
    "cut": RawSocket.cut,
    "closed": RawSocket.close,
    "disconnected": lambda raw: raw.send("41"),
}


class Return(threading.Thread):
    """Connects anew and joins; with `pid` it also shows the secret of the old connection."""

    def __init__(self, server: LiveServer, room: str, pid: str | None, delay: float) -> None:
        super().__init__()
        self.server, self.room, self.pid, self.delay = server, room, pid, delay
        self.socket: Any = None

    def run(self) -> None:
        self.socket = RawSocket(self.server, auth={"pid": self.pid} if self.pid else None)
        time.sleep(self.delay)
        self.socket.send(JOIN % self.room)
        while "join_room_success" not in self.socket.receive():
            pass


@pytest.mark.cluster
@pytest.mark.timeout(1200)
def test_a_late_disconnect_never_ends_who_has_come_back(server: LiveServer, room: str) -> None:
    chance = random.Random(7)
    old = RawSocket(server)
    old.send(JOIN % room)
    assert "join_room_success" in old.receive()

    def sessions() -> int:
        body = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()
        (peer,) = body["peers"]
        assert peer["is_active"] == (peer["session_count"] > 0)
        return int(peer["session_count"])

    for number in range(ROUNDS):
        ending = chance.choice(list(ENDINGS))
        pid = old.connected["pid"] if chance.random() < 0.5 else None
        back = Return(server, room, pid, chance.uniform(0, 0.004))
        end_first = chance.random() < 0.3
        if end_first:
            ENDINGS[ending](old)
        back.start()
        if not end_first:
            # Somewhere between the new connection's first byte and after its join.
            time.sleep(chance.uniform(0, 0.02))
            with suppress(websocket.WebSocketException, OSError):
                ENDINGS[ending](old)
        back.join(30)
        assert back.socket is not None, f"round {number}: the client is back"
        eventually(
            lambda: sessions() == 1,
            f"round {number} ({ending}, pid {bool(pid)}): one connection is left",
        )
        with suppress(websocket.WebSocketException, OSError):
            old.close()
        old = back.socket
    old.close()
    eventually(lambda: sessions() == 0, "inactive once the last one has gone")
