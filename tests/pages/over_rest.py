"""Peers that come and go over REST, while somebody looks at a page."""

from __future__ import annotations

from typing import Any

import requests

from local_cluster.live_server import LiveServer
from tests.support.visitors import room_path


def rest(site: LiveServer, room: str, what: str, body: Any = None, **query: str) -> Any:
    address = f"{site.url}/api/webrtc{room_path(room)}/{what}"
    answer = requests.post(address, json=body or {}, params=query, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def join_over_rest(site: LiveServer, room: str, peer_id: str, **user_data: Any) -> None:
    rest(site, room, "join", {"peer_id": peer_id, "username": peer_id, "user_data": user_data})
