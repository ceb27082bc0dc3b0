"""Engine.IO over plain HTTP, request by request, as no client's library would let one do it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import requests

from local_cluster.live_server import LiveServer
from tests.support.streams import Stream

PATH = "/socket.io/"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@dataclass
class Answer:
    """What came back over a connection of its own: status line, headers by small names, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> Any:
        """The code of the condition that was answered, if it was one."""
        return json.loads(self.body)["code"] if self.body.startswith(b"{") else None


class Asked:
    """A request on a TCP connection of its own, whose answer is read when it is wanted."""

    def __init__(
        self,
        server: LiveServer,
        query: str,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        *,
        body: str = "",
        version: str = "HTTP/1.1",
    ) -> None:
        fields = {"Host": f"127.0.0.1:{server.port}", **(headers or {})}
        if body:
            fields["Content-Length"] = str(len(body.encode()))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.stream = Stream(server)
        self.stream.send(f"{method} {PATH}?{query} {version}\r\n{head}\r\n{body}")

    def answer(self) -> Answer:
        """Return the answer, once it comes."""
        lines = self.stream.read_until(b"\r\n\r\n").decode().split("\r\n")
        headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in lines[1:] if line)
        }
        body = self.stream.read(int(headers.get("content-length", 0)))
        return Answer(int(lines[0].split()[1]), headers, body)

    def die(self) -> None:
        """Lose the TCP connection, by which the request was made."""
        self.stream.close()


class Polling:
    """A session over polling: one poll and one POST after the other."""

    def __init__(self, server: LiveServer, more: str = "") -> None:
        self.server = server
        opened = requests.get(f"{server.url}{PATH}?EIO=4&transport=polling{more}", timeout=10)
        assert opened.status_code == 200, opened.text
        self.opening = json.loads(opened.text[1:])
        self.query = f"EIO=4&transport=polling&sid={self.opening['sid']}"

    def connected(self) -> Polling:
        """Connect a Socket.IO socket."""
        self.post("40")
        self.wait_for("40")
        return self

    def poll(self, mark: str = "") -> Asked:
        """Begin to poll, with a mark (``t``) if one is given."""
        return Asked(self.server, self.query + (mark and f"&t={mark}"))

    def poll_twice(self, *marks: str) -> list[Answer]:
        """Poll with each mark at once, and return the answers, the better one first.

        They come over connections of their own, so that either may be the first to be read.
        """
        polls = [self.poll(mark) for mark in marks]
        return sorted((poll.answer() for poll in polls), key=lambda answer: answer.status)

    def post(self, body: str, mark: str = "") -> Answer:
        """Send packets."""
        query = self.query + (mark and f"&t={mark}")
        return Asked(self.server, query, "POST", body=body).answer()

    def wait_for(self, start: str) -> str:
        """Return the next packet that begins so, answering pings."""
        for _ in range(50):
            answer = self.poll().answer()
            assert answer.status == 200, answer
            for packet in answer.body.decode().split("\x1e"):
                if packet == "2":
                    self.post("3")
                if packet.startswith(start):
                    return packet
        raise AssertionError(f"nothing began with {start!r}")

    def is_open(self) -> bool:
        """Tell whether the session goes on."""
        return self.post("3").status == 200
