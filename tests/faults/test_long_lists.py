"""A room whose list is longer than what may wait for one connection can be joined all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.support.clients import events, hears

PEERS = 80
DATA = {"text": "x" * 16_000}  # in all 1.3 MB, and a bound of 1 MiB


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_a_long_list_is_read_by_who_joins_over_any_transport(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any], mode: str
) -> None:
    server = new_server(mode)
    rooms = f"{server.url}/api/webrtc/rooms/r"
    for number in range(PEERS):
        peer = {"peer_id": f"p{number}", "username": "P", "user_data": DATA}
        assert requests.post(f"{rooms}/join", json=peer, timeout=10).ok
        assert requests.post(f"{rooms}/leave?peer_id=p{number}", timeout=10).ok
    clients = {}
    for kind, transport in (
        ("javascript", "websocket"),
        ("javascript", "polling"),
        ("python", "websocket"),
    ):
        name = f"{kind} over {transport}"
        clients[name] = connect(server, kind, [transport])
        joined = clients[name].call(
            "join_room", {"room_name": "r", "peer_id": name, "username": "N", "user_data": DATA}
        )
        assert len(joined["peers"]) == PEERS + len(clients)
    for name, client in clients.items():
        newest = hears(client, "peer_list_updated", lambda body: body["active_peers"] == 3)
        assert len(newest["peers"]) == PEERS + 3
        assert client.call("update_user_data", {"user_data": {"n": name}})["ok"]
        assert events(client, "join_room_success")
    assert "does not read" not in server.log_text()
