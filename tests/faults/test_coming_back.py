"""Clients that lose the server, and are in their room again without a line of their own."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.faults.locked_database import locked
from tests.support.clients import events, hears, shows
from tests.support.raw_socket import NotGreeted, RawSocket

Connect = Callable[..., Any]
NewServer = Callable[..., LiveServer]

ALICE = {"room_name": "r", "peer_id": "alice", "username": "Alice", "user_data": {"kept": 1}}
BOB = {"room_name": "r", "peer_id": "bob", "username": "Bob"}


def room(server: LiveServer) -> dict[str, Any]:
    body: dict[str, Any] = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()
    return body


def active(server: LiveServer) -> dict[str, bool]:
    return {peer["peer_id"]: peer["is_active"] for peer in room(server)["peers"]}


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
@pytest.mark.parametrize("transports", [["websocket"], ["polling"], None])
def test_an_unchanged_javascript_client_is_back_after_kill_9(
    new_server: NewServer, connect: Connect, mode: str, transports: list[str] | None
) -> None:
    server = new_server(mode)
    alice = connect(server, "javascript", transports)
    alice.call("join_room", ALICE)
    server.kill()
    eventually(lambda: not alice.connected, "the connection is lost", 15)
    before = len(alice.received)
    server.start()
    eventually(lambda: active(server) == {"alice": True}, "alice is back by herself", 10)
    eventually(
        lambda: "join_room_success" in [name for name, _body in alice.received[before:]],
        "and has the whole list",
    )
    assert alice.call("update_user_data", {"user_data": {"new": 2}})["user_data"] == {
        "kept": 1,
        "new": 2,
    }


def test_a_client_is_back_after_a_restart_in_good_order(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server()
    alice = connect(server, "javascript")
    alice.call("join_room", ALICE)
    assert server.stop() == 0
    hears(alice, "server_shutdown")
    server.start()
    eventually(lambda: active(server) == {"alice": True}, "alice is back by herself", 15)


def test_a_client_is_back_twice(new_server: NewServer, connect: Connect) -> None:
    """The secret is another one each time, so the second return needs the one of the first."""
    server = new_server()
    alice = connect(server, "javascript")
    alice.call("join_room", ALICE)
    for _ in range(2):
        server.kill()
        eventually(lambda: not alice.connected, "the connection is lost", 15)
        server.start()
        eventually(lambda: active(server) == {"alice": True}, "alice is back", 15)


def test_who_left_is_not_put_back(new_server: NewServer, connect: Connect) -> None:
    server = new_server()
    alice = connect(server, "javascript")
    alice.call("join_room", ALICE)
    alice.call("leave_room")
    server.kill()
    eventually(lambda: not alice.connected, "the connection is lost", 15)
    server.start()
    eventually(lambda: alice.connected, "the client is back", 15)
    assert alice.call("leave_room")["code"] == "not_joined"
    assert active(server) == {"alice": False}


def connecting(server: LiveServer, pid: str | None) -> tuple[RawSocket, str]:
    """Connect by hand, showing a pid; return the socket and the new pid."""
    raw = RawSocket(server, auth={"pid": pid, "offset": "x"} if pid else None)
    assert len(raw.connected["pid"]) >= 32
    return raw, raw.connected["pid"]


def joined_as_alice(server: LiveServer) -> tuple[RawSocket, str]:
    raw, pid = connecting(server, None)
    raw.send(f'42["join_room",{json.dumps(ALICE)}]')
    assert "join_room_success" in raw.receive()
    return raw, pid


def is_put_back(raw: RawSocket) -> bool:
    """Ask for something that only a joined socket gets."""
    raw.send('427["sync",{"since":0}]')
    while True:
        text = raw.receive()
        if text.startswith("437"):
            return bool(json.loads(text[3:])[0]["ok"])


@pytest.mark.cluster
def test_a_secret_works_once_and_for_nobody_who_guesses(server: LiveServer) -> None:
    first, pid = joined_as_alice(server)
    guesser, _ = connecting(server, pid[:-1] + ("A" if pid[-1] != "A" else "B"))
    assert not is_put_back(guesser)
    first.cut()
    second, _ = connecting(server, pid)
    assert is_put_back(second)
    thief, _ = connecting(server, pid)
    assert not is_put_back(thief)
    for raw in (second, thief, guesser):
        raw.close()


def test_a_secret_takes_the_place_of_a_socket_that_is_not_known_to_be_lost(
    server: LiveServer,
) -> None:
    first, pid = joined_as_alice(server)
    second, _ = connecting(server, pid)
    assert is_put_back(second)
    assert not is_put_back(first)
    assert room(server)["peers"][0]["session_count"] == 1
    first.close()
    assert is_put_back(second)
    second.close()


def test_who_cannot_be_put_back_for_the_moment_is_closed_and_keeps_its_secret(
    new_server: NewServer,
) -> None:
    server = new_server()
    first = RawSocket(server)
    first.send("42" + json.dumps(["join_room", ALICE]))
    eventually(lambda: first.receive().startswith('42["join_room_success"'), "joined")
    first.cut()
    eventually(lambda: active(server) == {"alice": False}, "inactive")
    with locked(server), pytest.raises(NotGreeted):
        RawSocket(server, auth={"pid": first.connected["pid"]})
    assert is_put_back(RawSocket(server, auth={"pid": first.connected["pid"]}))


def test_a_secret_is_gone_with_a_disconnect_in_good_order(server: LiveServer) -> None:
    raw, pid = joined_as_alice(server)
    raw.send("41")
    raw.close()
    again, _ = connecting(server, pid)
    assert not is_put_back(again)
    again.close()


@pytest.mark.cluster
def test_a_secret_is_gone_when_the_peer_leaves_over_rest(server: LiveServer) -> None:
    raw, pid = joined_as_alice(server)
    raw.cut()
    requests.post(f"{server.url}/api/webrtc/rooms/r/leave?peer_id=alice", timeout=10)
    again, _ = connecting(server, pid)
    assert not is_put_back(again)
    again.close()


@pytest.mark.parametrize("pid", ["", "x" * 1000, "é" * 32, "' OR 1=1 --"])
def test_nonsense_for_a_secret_is_only_no_secret(server: LiveServer, pid: str) -> None:
    raw, _ = connecting(server, pid or None)
    assert not is_put_back(raw)
    raw.close()


def test_secrets_are_stored_hashed_and_with_an_end(new_server: NewServer, connect: Connect) -> None:
    server = new_server()
    raw, pid = joined_as_alice(server)

    def stored() -> list[tuple[str, str | None]]:
        with sqlite3.connect(server.database) as database:
            return database.execute("SELECT secret_hash, expires_at FROM recoveries").fetchall()

    ((secret_hash, expires_at),) = stored()
    assert pid not in secret_hash
    assert expires_at is None
    raw.cut()
    eventually(lambda: stored()[0][1], "its time runs once the connection is lost")


def test_a_full_room_refuses_even_who_comes_back(new_server: NewServer, connect: Connect) -> None:
    server = new_server(PRESENCE_MAX_PEERS=1)
    raw, pid = joined_as_alice(server)
    raw.cut()
    eventually(lambda: active(server) == {"alice": False}, "alice is known to be lost")
    bob = connect(server)
    assert bob.call("join_room", BOB)["ok"]
    again, _ = connecting(server, pid)
    assert "room_full" in again.receive()
    again.close()


def test_within_the_grace_a_lost_and_regained_connection_is_not_announced(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server(PRESENCE_DISCONNECT_GRACE=8)
    bob = connect(server)
    bob.call("join_room", BOB)
    raw, pid = joined_as_alice(server)
    shows(bob, "alice", is_active=True)
    version, lists = room(server)["version"], len(events(bob, "peer_list_updated"))
    raw.cut()
    again, _ = connecting(server, pid)
    assert is_put_back(again)
    assert room(server)["version"] == version
    assert room(server)["peers"][1]["session_count"] == 1
    again.cut()
    other = connect(server)
    assert other.call("join_room", {**ALICE, "user_data": {}})["version"] == version
    assert len(events(bob, "peer_list_updated")) == lists
    other.call("leave_room")
    shows(bob, "alice", is_active=False, seconds=3)


def test_the_grace_ends(new_server: NewServer, connect: Connect) -> None:
    server = new_server(PRESENCE_DISCONNECT_GRACE=2)
    bob = connect(server)
    bob.call("join_room", BOB)
    raw, _pid = joined_as_alice(server)
    shows(bob, "alice", is_active=True)
    lost = time.monotonic()
    raw.cut()
    shows(bob, "alice", is_active=False)
    assert 1.5 < time.monotonic() - lost < 6
