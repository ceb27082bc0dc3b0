"""Connections made by hand, byte by byte: what no client would send, and what comes back."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from typing import Any, Self

from local_cluster.live_server import LiveServer

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Stream:
    """A TCP connection to a server, from any address of the loopback network."""

    def __init__(
        self,
        server: LiveServer,
        source: str = "127.0.0.1",
        timeout: float = 15,
        receive_buffer: int | None = None,
    ) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", server.port))
        self._buffer = b""

    def send(self, data: bytes | str) -> Self:
        """Send bytes; a server that has hung up already is no error."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data.encode() if isinstance(data, str) else data)
        return self

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes, or less if the server closes before."""
        while len(self._buffer) < size:
            if not self._receive():
                break
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def read_until(self, end: bytes) -> bytes:
        """Return everything up to and with `end`, or to the end of the connection."""
        while end not in self._buffer:
            if not self._receive():
                break
        head, found, self._buffer = self._buffer.partition(end)
        return head + found

    def read_to_end(self) -> bytes:
        """Return everything that comes until the server closes; fails after the timeout."""
        while self._receive():
            pass
        return self.read(len(self._buffer))

    def answer(self) -> tuple[int, bytes]:
        """Return the status and body of one HTTP answer; status 0 if there is none."""
        head = self.read_until(b"\r\n\r\n")
        if not head.startswith(b"HTTP/"):
            return 0, head
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return int(head.split()[1]), self.read(length)

    def shut_down(self) -> None:
        """Say that nothing more will come."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _receive(self) -> bool:
        try:
            chunk = self.socket.recv(65_536)
        except ConnectionError:
            return False
        self._buffer += chunk
        return bool(chunk)


class WebSocketStream(Stream):
    """A WebSocket on the Socket.IO server whose frames are made by hand; joined to nothing yet."""

    def __init__(
        self,
        server: LiveServer,
        source: str = "127.0.0.1",
        forwarded: str | None = None,
        admitted: bool = True,
    ) -> None:
        super().__init__(server, source)
        header = f"X-Forwarded-For: {forwarded}\r\n" if forwarded else ""
        self.send(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{header}\r\n"
        )
        self.status, self.refusal = self.answer()
        if self.status == 101 and admitted:
            self.text("40")
            self.wait_for("40")

    def text(self, text: str) -> WebSocketStream:
        """Send one message in good order."""
        self.send(frame(TEXT, text.encode()))
        return self

    def emit(self, event: str, body: Any) -> WebSocketStream:
        """Send a Socket.IO event."""
        return self.text("42" + json.dumps([event, body]))

    def message(self) -> tuple[int, bytes]:
        """Return the opcode and payload of the next frame; (CLOSE, b"") at the end."""
        head = self.read(2)
        if len(head) < 2:
            return CLOSE, b""
        length = head[1] & 127
        if length == 126:
            length = struct.unpack("!H", self.read(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self.read(8))[0]
        return head[0] & 15, self.read(length)

    def wait_for(self, start: str, seconds: float = 15) -> str:
        """Return the next message that begins so, answering pings; empty if the server closes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            opcode, payload = self.message()
            if opcode == CLOSE:
                return ""
            if payload == b"2":
                self.text("3")
            if payload.decode(errors="replace").startswith(start):
                return payload.decode()
        raise AssertionError(f"nothing began with {start!r} for {seconds} s")

    def event(self, name: str, seconds: float = 15) -> Any:
        """Return the body of the next event of this name; None if the server closes first."""
        found = self.wait_for(f'42["{name}"', seconds)
        return json.loads(found[2:])[1] if found else None

    def ends(self, seconds: float = 15) -> bool:
        """Tell whether the server closes the connection in time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.message()[0] == CLOSE:
                return True
        return False


def frame(
    opcode: int,
    payload: bytes,
    *,
    final: bool = True,
    masked: bool = True,
    reserved: int = 0,
    claimed_length: int | None = None,
) -> bytes:
    """Return a WebSocket frame (RFC 6455, 5.2), with whatever about it is to be wrong."""
    length = len(payload) if claimed_length is None else claimed_length
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    flag = 0x80 if masked else 0
    if length < 126:
        head += bytes([flag | length])
    elif length < 65_536:
        head += bytes([flag | 126]) + struct.pack("!H", length)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked_payload = int.from_bytes(payload) ^ int.from_bytes(key)
    return head + mask + masked_payload.to_bytes(len(payload))
