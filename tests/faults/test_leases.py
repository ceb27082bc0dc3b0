"""Two processes on one database: what the survivor does when the other dies or freezes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import requests

from local_cluster.live_server import LiveServer
from local_cluster.private_postgresql import PrivatePostgresql
from local_cluster.waiting import eventually
from tests.faults.silent_peers import FOUND_WITHIN, joining
from tests.support.clients import shows

NewServer = Callable[..., LiveServer]
Connect = Callable[..., Any]


def two(postgresql: PrivatePostgresql, new_server: NewServer) -> tuple[LiveServer, LiveServer]:
    url = postgresql.new_database()
    return new_server(DATABASE_URL=url), new_server(DATABASE_URL=url)


def session_counts(server: LiveServer) -> dict[str, int]:
    peers = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()["peers"]
    return {peer["peer_id"]: peer["session_count"] for peer in peers}


def test_the_peers_of_a_killed_process_are_inactive_within_twelve_seconds(
    postgresql: PrivatePostgresql, new_server: NewServer, connect: Connect
) -> None:
    dying, survivor = two(postgresql, new_server)
    watcher = connect(survivor)
    watcher.call("join_room", joining("watcher"))
    connect(dying, "python").call("join_room", joining("lost"))
    shows(watcher, "lost", is_active=True)
    dying.kill()
    killed = time.monotonic()
    shows(watcher, "lost", is_active=False, seconds=FOUND_WITHIN)
    print(f"inactive {time.monotonic() - killed:.1f} s after its process was killed")
    assert session_counts(survivor) == {"watcher": 1, "lost": 0}


def test_a_process_that_was_frozen_past_its_lease_lets_its_clients_come_back_cleanly(
    postgresql: PrivatePostgresql, new_server: NewServer, connect: Connect
) -> None:
    frozen, survivor = two(postgresql, new_server)
    watcher = connect(survivor)
    watcher.call("join_room", joining("watcher"))
    client = connect(frozen, "javascript")
    client.call("join_room", joining("back"))
    shows(watcher, "back", is_active=True)
    frozen.signal(signal.SIGSTOP)
    shows(watcher, "back", is_active=False, seconds=FOUND_WITHIN)
    frozen.signal(signal.SIGCONT)
    eventually(
        lambda: session_counts(survivor) == {"watcher": 1, "back": 1},
        "the client is back by itself, once",
        20,
    )
    shows(watcher, "back", is_active=True)
    assert client.call("update_user_data", {"user_data": {"still": "here"}})["ok"]
