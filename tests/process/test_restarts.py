"""What a crash and a restart leave: everything stored, and nobody shown active who is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import shows
from tests.support.rest import Rest

NewServer = Callable[..., LiveServer]


def visit(server: LiveServer, connect: Callable[..., Any]) -> dict[str, Any]:
    """Have somebody in a room by socket and somebody by REST, with data and a file."""
    rest = Rest(server)
    alice = connect(server)
    alice.call(
        "join_room",
        {"room_name": "r", "peer_id": "alice", "username": "Alice", "user_data": {"a": 1}},
    )
    rest.join("r", "bob", b=2)
    return dict(
        requests.post(
            f"{rest.base}/upload",
            files={"file": ("a.txt", b"text")},
            data={"room_name": "r", "peer_id": "alice"},
            timeout=10,
        ).json()
    )


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_after_kill_9_everything_is_there_and_nobody_is_active(
    new_server: NewServer, connect: Callable[..., Any], mode: str
) -> None:
    server = new_server(mode)
    uploaded = visit(server, connect)
    before = Rest(server).get("/rooms/r").json()
    assert before["active_peer_count"] == 2

    server.kill()
    server.start()

    after = Rest(server).get("/rooms/r").json()
    assert after["active_peer_count"] == 0
    assert after["total_peer_count"] == 2
    assert after["version"] > before["version"]
    alice, bob = after["peers"]
    assert (alice["user_data"], bob["user_data"]) == ({"a": 1}, {"b": 2})
    assert alice["uploaded_files"] == [uploaded["file_path"]]
    assert requests.get(server.url + uploaded["file_url"], timeout=10).content == b"text"
    for was, is_ in zip(before["peers"], after["peers"], strict=True):
        assert was["joined_at"] == is_["joined_at"]
        assert was["last_seen"] <= is_["last_seen"]
    with sqlite3.connect(server.database) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_sigterm_tells_the_clients_and_ends_cleanly(
    new_server: NewServer, connect: Callable[..., Any]
) -> None:
    server = new_server()
    visit(server, connect)
    watcher = connect(server)
    watcher.call("join_room", {"room_name": "r", "peer_id": "watcher", "username": "W"})
    assert server.stop() == 0
    eventually(lambda: not watcher.connected, "the client knows")
    assert "Traceback" not in server.log_text()
    server.start()
    assert Rest(server).get("/rooms/r").json()["active_peer_count"] == 0


def test_a_stock_client_that_reconnects_and_joins_again_is_active_again(
    new_server: NewServer, connect: Callable[..., Any]
) -> None:
    server = new_server()
    client = connect(server, "javascript")
    message = {"room_name": "r", "peer_id": "a", "username": "A", "user_data": {"kept": True}}
    client.call("join_room", message)
    server.kill()
    eventually(lambda: not client.connected, "the connection is lost")
    server.start()
    eventually(lambda: client.connected, "the client is back by itself", 15)
    client.call("join_room", {**message, "user_data": {}})
    assert shows(client, "a", is_active=True)["user_data"] == {"kept": True}


def test_what_a_crash_left_of_uploads_and_deletions_is_repaired(new_server: NewServer) -> None:
    server = new_server()
    rest = Rest(server)
    rest.join("r", "alice")
    names = []
    for content in (b"first", b"second"):
        names.append(
            requests.post(
                f"{rest.base}/upload",
                files={"file": ("a.txt", content)},
                data={"room_name": "r", "peer_id": "alice"},
                timeout=10,
            ).json()["filename"]
        )
    server.kill()
    # As a crash would leave them: a file whose row was committed but which was not yet in place,
    # one that is half received, and one whose deletion was committed.
    pending = next((server.uploads / ".pending").iterdir())
    (server.uploads / names[0]).rename(pending / names[0])
    (pending / "0123456789abcdef").write_bytes(b"half")
    (pending / "fedcba9876543210.txt").write_bytes(b"deleted")
    server.start()
    assert server.stored_files() == sorted(names)
    assert requests.get(f"{server.url}/uploads/{names[0]}", timeout=10).content == b"first"


def test_a_database_of_an_earlier_run_is_migrated_and_kept(new_server: NewServer) -> None:
    server = new_server()
    Rest(server).join("r", "alice")
    for _ in range(2):
        server.kill()
        server.start()
    assert Rest(server).get("/rooms/r").json()["total_peer_count"] == 1
