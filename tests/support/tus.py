"""A client of the tus protocol that says exactly what a test wants said."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import requests

from local_cluster.live_server import LiveServer

PIECE = "application/offset+octet-stream"


def metadata(**values: str) -> str:
    return ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items()
    )


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


class Tus:
    """The resumable uploads of one server, for one peer."""

    def __init__(self, server: LiveServer, room: str, peer_id: str = "alice") -> None:
        self.url = server.url
        self.room = room
        self.peer_id = peer_id
        self.base = f"{server.url}/api/webrtc/uploads"

    def call(self, method: str, where: str = "", **how: Any) -> requests.Response:
        headers = {"Tus-Resumable": "1.0.0", **how.pop("headers", {})}
        address = where if where.startswith("http") else self.base + where
        headers = {name: value for name, value in headers.items() if value is not None}
        return requests.request(method, address, headers=headers, timeout=60, **how)

    def create(
        self, length: int | str, name: str = "notes.txt", data: bytes | None = None, **headers: str
    ) -> requests.Response:
        told = metadata(filename=name, room_name=self.room, peer_id=self.peer_id)
        sent = {"Upload-Length": str(length), "Upload-Metadata": told, **headers}
        if data is not None:
            sent["Content-Type"] = PIECE
        return self.call("POST", headers=sent, data=data)

    def begin(self, length: int, name: str = "notes.txt") -> str:
        """Begin an upload and return its address."""
        answer = self.create(length, name)
        assert answer.status_code == 201, answer.text
        return self.url + answer.headers["Location"]

    def send(self, where: str, offset: int, data: Any, **headers: Any) -> requests.Response:
        sent = {"Upload-Offset": str(offset), "Content-Type": PIECE, **headers}
        return self.call("PATCH", where, headers=sent, data=data)

    def offset(self, where: str) -> int:
        answer = self.call("HEAD", where)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["Upload-Offset"])


def join(server: LiveServer, room: str) -> None:
    """Let alice join a room."""
    body = {"peer_id": "alice", "username": "Alice"}
    path = f"{server.url}/api/webrtc/rooms/{room}/join"
    requests.post(path, json=body, timeout=30).raise_for_status()
