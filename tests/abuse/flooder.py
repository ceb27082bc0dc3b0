"""A client that floods, as a program of its own, so that it takes no time of whoever measures.

``python -m tests.abuse.flooder PORT ROOM EVENT BODY``: says so when it has joined, then sends a
thousand events a second until its standard input ends.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any, cast

from local_cluster.live_server import LiveServer
from tests.support.paths import ROOT
from tests.support.streams import TEXT, WebSocketStream, frame

EVENTS_PER_SECOND = 1000
_AT_ONCE = 50


@contextmanager
def flooding(server: LiveServer, room: str, event: str, body: Any) -> Generator[None]:
    """Flood a server from a room of its own for as long as the block lasts."""
    arguments = [str(server.port), room, event, json.dumps(body)]
    command = [sys.executable, "-m", "tests.abuse.flooder", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "joined\n"
        yield
    finally:
        process.stdin.close()
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.stdout.close()


def main(port: str, room: str, event: str, body: str) -> None:
    """Join, and flood."""
    stream = WebSocketStream(cast(LiveServer, SimpleNamespace(port=int(port))))
    stream.emit("join_room", {"room_name": room, "peer_id": "flooder", "username": "F"})
    assert stream.event("join_room_success")
    stream.socket.settimeout(60)
    message = frame(TEXT, b"42" + json.dumps([event, json.loads(body)]).encode())

    def drain() -> None:
        with suppress(OSError):
            while stream.socket.recv(65_536):
                pass

    reading = threading.Thread(target=drain)
    reading.start()
    print("joined", flush=True)
    while not select.select([sys.stdin], [], [], _AT_ONCE / EVENTS_PER_SECOND)[0]:
        stream.send(message * _AT_ONCE)
    with suppress(OSError):
        stream.socket.shutdown(socket.SHUT_RDWR)
    reading.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
