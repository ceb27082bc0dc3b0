"""The clients of a load: Socket.IO over a raw WebSocket, PeerJS's own protocol, and HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from benchmarks.frames import event_frame, text_frame
from benchmarks.load import HEAD_BYTES, Connection, ConnectionLost, Load

# What a workload does with a message: the client, its first bytes (all of them if the client reads
# messages whole), and when it came (perf_counter).
OnMessage = Callable[["SocketClient", bytes, float], None]

_PONG = text_frame(b"3")
_CONNECT = text_frame(b"40")
_AT_ONCE = 100  # connections that are being made at one time
_TOTAL = re.compile(rb'"total_peers": ?(\d+)')


def _nothing(_client: SocketClient, _head: bytes, _now: float) -> None:
    """Do nothing with a message."""


class WebSocket(Connection):
    """A WebSocket whose messages are handed on as their first bytes."""

    def __init__(self, load: Load, path: str, *, whole: bool = False) -> None:
        super().__init__(load)
        self.messages = 0
        self.is_open = False
        self._whole = whole
        self._rest = b""
        self._message = bytearray()
        self._missing = 0
        self.send(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def on_text(self, head: bytes, now: float) -> None:
        """Take in a message."""
        raise NotImplementedError

    def receive(self, data: memoryview, now: float) -> None:
        """Take in bytes: the answer to the upgrade first, and frames from then on."""
        at = 0
        if self._missing:
            at = min(self._missing, len(data))
            if self._whole:
                self._message += data[:at]
            self._missing -= at
            if self._missing:
                return
            self._deliver(bytes(self._message), now)
        elif self._rest:
            data = memoryview(self._rest + bytes(data))
            self._rest = b""
        if not self.is_open:
            at = self._finish_upgrade(data)
            if not self.is_open:
                self._rest = bytes(data)
                return
        end = len(data)
        while end - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                if end < start:
                    break
                length = int.from_bytes(data[at + 2 : start], "big")
            if data[at] == 0x88:
                raise ConnectionLost("the server closed a WebSocket")
            seen = length if self._whole else min(length, HEAD_BYTES)
            if end - start < seen and not self._whole:
                break
            if end - start < length:
                self._message = bytearray(data[start : min(end, start + seen)])
                self._missing = length - (end - start)
                return
            self._deliver(bytes(data[start : start + seen]), now)
            at = start + length
        self._rest = bytes(data[at:])

    def _deliver(self, head: bytes, now: float) -> None:
        self.messages += 1
        self.on_text(head, now)

    def _finish_upgrade(self, data: memoryview) -> int:
        answer = bytes(data[:2048])
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if not answer.startswith(b"HTTP/1.1 101"):
            raise ConnectionLost(f"no WebSocket: {answer[:80]!r}")
        self.is_open = True
        return end + 4


class SocketClient(WebSocket):
    """A Socket.IO client (protocol 5 over Engine.IO 4), straight on WebSocket."""

    def __init__(self, load: Load, *, whole: bool = False) -> None:
        super().__init__(load, "/socket.io/?EIO=4&transport=websocket", whole=whole)
        self.connected = False
        self.peer_id = ""
        self.joined_at = 0.0  # when join_room_success came
        self.total_shown = 0  # the size of the newest list
        self.on_message: OnMessage = _nothing

    def on_text(self, head: bytes, now: float) -> None:
        """Answer pings, keep track of joins and lists, and hand the message on."""
        if head == b"2":
            self.send(_PONG)
            return
        if head.startswith((b'42["peer_list_updated"', b'42["join_room_success"')):
            total = _TOTAL.search(head)
            if total:
                self.total_shown = int(total[1])
            if head.startswith(b'42["join'):
                self.joined_at = now
        elif not self.connected:
            if head.startswith(b"0"):
                self.send(_CONNECT)
                return
            self.connected = head.startswith(b"40")
            return
        elif b'_error"' in head[:40]:
            raise ConnectionLost(f"the server refused: {head[:200]!r}")
        self.on_message(self, head, now)

    def emit(self, event: str, body: Any, ack: int | None = None) -> None:
        """Send an event."""
        self.send(event_frame(event, body, ack))

    def join(self, room_name: str, peer_id: str, **more: Any) -> None:
        """Send the join of a peer that looks like those of real applications."""
        self.peer_id = peer_id
        self.emit(
            "join_room",
            {
                "room_name": room_name,
                "peer_id": peer_id,
                "username": f"User {peer_id}",
                "user_data": user_data(peer_id),
                **more,
            },
        )


class PeerJsClient(WebSocket):
    """A client of a PeerJS server."""

    def __init__(self, load: Load, peer_id: str) -> None:
        super().__init__(load, f"/peerjs?key=peerjs&id={peer_id}&token={peer_id}")
        self.connected = False
        self.peer_id = peer_id
        self.on_message: Callable[[bytes], None] = lambda _head: None

    def on_text(self, head: bytes, _now: float) -> None:
        """Hand a message on."""
        if not self.connected:
            self.connected = b'"OPEN"' in head
            return
        self.on_message(head)


def user_data(peer_id: str) -> dict[str, Any]:
    """Return the user_data of a peer: about as much as the contract's own example has."""
    return {"avatar": f"/avatars/{peer_id}.png", "role": "guest", "status": "ready", "mark": "0-0"}


def connect(load: Load, count: int, *, whole: bool = False) -> list[SocketClient]:
    """Return Socket.IO clients that are connected, and have joined nothing."""
    clients: list[SocketClient] = []
    while len(clients) < count:
        batch = [
            SocketClient(load, whole=whole) for _ in range(min(_AT_ONCE, count - len(clients)))
        ]
        load.await_(lambda batch=batch: all(c.connected for c in batch), "connected")  # type: ignore[misc]
        clients += batch
    return clients


def join_all(load: Load, clients: list[SocketClient], room_name: str, **more: Any) -> None:
    """Let clients join a room one after the other, each answered before the next."""
    for number, client in enumerate(clients):
        client.join(room_name, f"{room_name}-{number}", **more)
        load.await_(lambda client=client: client.joined_at > 0, "join_room_success")  # type: ignore[misc]


class HttpClient(Connection):
    """An HTTP/1.1 connection that is kept open and has one request under way."""

    def __init__(self, load: Load) -> None:
        super().__init__(load)
        self.status = 0  # of the last answer, once all of it has come
        self.head = b""
        self.body = bytearray()
        self.on_answer: Callable[[HttpClient, float], None] = lambda _client, _now: None
        self._missing = -1
        self._keep = 4096

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Send a request; `on_answer` is called with its answer."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.load.port}"]
        if body or method == "POST":
            headers = {"Content-Type": "application/json", **(headers or {})}
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.head, self.status = b"", 0
        self.body.clear()
        self._missing = -1
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def receive(self, data: memoryview, now: float) -> None:
        """Take in bytes of the answer; of its body only the beginning is kept."""
        body: memoryview | bytes = data
        if self._missing < 0:
            self.head += bytes(data)
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            body, self.head = self.head[end + 4 :], self.head[:end]
            length = self.header("content-length")
            if self._status() in {204, 304}:
                length = "0"
            elif length is None:
                raise ConnectionLost(f"an answer without Content-Length: {self.head!r}")
            self._missing = int(length)
        if len(self.body) < self._keep:
            self.body += body[: self._keep]
        self._missing -= len(body)
        if self._missing == 0:
            self._missing = -1
            self.status = self._status()
            self.on_answer(self, now)

    def _status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def header(self, name: str) -> str | None:
        """Return a header of the answer."""
        found = re.search(rb"(?im)^%s: *(.*?)\r?$" % name.encode(), self.head)
        return found[1].decode() if found else None
