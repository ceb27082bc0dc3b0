"""Many peers that change their data all the time, cheap enough for one thread.

Python's usual clients would be the slow ones here: what a hundred peers hear in a busy room is only
looked through for acknowledgements.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import time
from dataclasses import dataclass, field

from local_cluster.live_server import LiveServer
from tests.support.raw_socket import RawSocket

_ACKNOWLEDGED = b"437["
_TAIL = len(_ACKNOWLEDGED) - 1
_PONG_SECONDS = 3.0


@dataclass
class _Member:
    raw: RawSocket
    socket: socket.socket
    due: float = 0.0
    sent: float | None = None  # since when it waits for an acknowledgement
    tail: bytes = b""
    latencies: list[float] = field(default_factory=list)


class Crowd:
    """`size` peers of one room, each with so many bytes of data that it updates all the time.

    It does so `rate` times a second, if the last one was acknowledged by then.
    """

    def __init__(self, server: LiveServer, room: str, size: int, rate: float, data: int) -> None:
        self._interval = 1 / rate
        self._data = b"x" * data
        self._members: list[_Member] = []
        self.lost = 0
        for number in range(size):
            raw = RawSocket(server)
            name = f"c{number}"
            join = {"room_name": room, "peer_id": name, "username": name}
            raw.send("42" + json.dumps(["join_room", join]))
            self._members.append(_Member(raw, raw.transport))

    def run(self, seconds: float) -> list[float]:
        """Update for a while; return how long each acknowledgement took, in seconds, sorted."""
        selector = selectors.DefaultSelector()
        began = time.monotonic()
        for number, member in enumerate(self._members):
            member.socket.setblocking(False)
            member.due = began + self._interval * number / len(self._members)
            member.sent = None
            member.latencies.clear()
            selector.register(member.socket, selectors.EVENT_READ, member)
        pongs = began
        count = 0
        while (now := time.monotonic()) < began + seconds or self._waits(now):
            if now >= pongs:
                pongs = now + _PONG_SECONDS
                for member in self._members:
                    self._send(member, b"3")
            for member in self._members:
                if member.sent is None and member.due <= now < began + seconds:
                    count += 1
                    member.sent = now
                    member.due = max(member.due + self._interval, now)
                    self._send(
                        member,
                        b'427["update_user_data",{"user_data":{"n":%d,"x":"%b"}}]'
                        % (count, self._data),
                    )
            for key, _events in selector.select(0.002):
                self._read(key.data, selector)
        selector.close()
        return sorted(latency for member in self._members for latency in member.latencies)

    def close(self) -> None:
        """Close every connection."""
        for member in self._members:
            member.socket.close()

    def _waits(self, now: float) -> bool:
        return any(m.sent is not None and now - m.sent < 20 for m in self._members)

    def _read(self, member: _Member, selector: selectors.BaseSelector) -> None:
        try:
            chunk = member.socket.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.lost += 1
            selector.unregister(member.socket)
            self._members.remove(member)
            return
        if member.sent is not None and _ACKNOWLEDGED in member.tail + chunk:
            member.latencies.append(time.monotonic() - member.sent)
            member.sent = None
        member.tail = chunk[-_TAIL:]

    def _send(self, member: _Member, payload: bytes) -> None:
        mask = os.urandom(4)
        size = len(payload)
        key = int.from_bytes((mask * (size // 4 + 1))[:size])
        masked = (int.from_bytes(payload) ^ key).to_bytes(size)
        length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 0xFE, size)
        member.socket.sendall(b"\x81" + length + mask + masked)


def percentile(ordered: list[float], share: float) -> float:
    """Return the value below which `share` of an ordered list lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
