"""A client whose cable is pulled: nobody tells the server, which must find out in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.faults.silent_peers import FOUND_WITHIN, joining
from tests.support.clients import JavaScriptClient, shows
from tests.support.network_host import NetworkHost


def test_a_client_whose_link_goes_down_is_inactive_within_twelve_seconds_and_comes_back(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any]
) -> None:
    server = new_server(HOST="0.0.0.0")
    watcher = connect(server)
    watcher.call("join_room", joining("watcher"))
    with NetworkHost() as host:
        url = f"http://{host.here}:{server.port}"
        clients = {
            kind: JavaScriptClient(url, [kind], within=host.command)
            for kind in ("websocket", "polling")
        }
        try:
            for name, client in clients.items():
                client.call("join_room", joining(name))
                shows(watcher, name, is_active=True)
            host.set_link(up=False)
            pulled = time.monotonic()
            for name in clients:
                left = FOUND_WITHIN - (time.monotonic() - pulled)
                shows(watcher, name, is_active=False, seconds=left)
            print(f"both inactive {time.monotonic() - pulled:.1f} s after the cable was pulled")
            host.set_link(up=True)
            for name in clients:
                shows(watcher, name, is_active=True, seconds=30)
            peers = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()["peers"]
            assert {peer["peer_id"]: peer["session_count"] for peer in peers} == {
                "watcher": 1,
                "websocket": 1,
                "polling": 1,
            }
            eventually(lambda: all(c.connected for c in clients.values()), "both know it")
        finally:
            for client in clients.values():
                client.kill()
