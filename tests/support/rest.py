"""The REST API of one server, as tests call it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import requests

from local_cluster.live_server import LiveServer


class Rest:
    """The API of one server."""

    def __init__(self, server: LiveServer) -> None:
        self.base = f"{server.url}/api/webrtc"

    def get(self, path: str) -> requests.Response:
        return requests.get(self.base + path, timeout=10)

    def post(self, path: str, body: Any = None, **arguments: Any) -> requests.Response:
        return requests.post(self.base + path, json=body, timeout=10, **arguments)

    def delete(self, path: str) -> requests.Response:
        return requests.delete(self.base + path, timeout=10)

    def join(self, room: str, peer_id: str, **user_data: Any) -> requests.Response:
        body = {"peer_id": peer_id, "username": peer_id.title(), "user_data": user_data}
        return self.post(f"/rooms/{quote(room)}/join", body)

    def peer(self, room: str, peer_id: str) -> dict[str, Any]:
        body: dict[str, Any] = self.get(f"/rooms/{quote(room)}/peers/{peer_id}").json()
        return body


def refusal(response: requests.Response) -> tuple[int, str]:
    """Return status and code of an error, having checked that it is one a person can act on."""
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert len(body["detail"]) > 20
    assert body["detail"].endswith(".")
    return response.status_code, body["code"]
