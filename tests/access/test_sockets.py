"""Connections with tokens: refused, ended with their token, and put back only where it allows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Generator
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support import needs
from tests.support.callers import ROOMS, admin, ask, join, joined, refusal
from tests.support.clients import JavaScriptClient, PythonClient, events, hears, shows
from tests.support.keys import token


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        (None, "token_required"),
        ({}, "token_required"),
        ({"token": None}, "token_required"),
        ({"token": ["x"]}, "token_refused"),
        ({"token": "x.y.z"}, "token_refused"),
        ({"token": token("ada", "*", "admin", ttl=-1)}, "token_expired"),
    ],
)
def test_a_connection_without_a_good_token_is_told_why(
    locked: LiveServer, auth: Any, code: str
) -> None:
    told = refusal(locked, auth)
    assert told["data"]["code"] == code
    assert told["message"] == told["data"]["detail"]


def test_the_javascript_client_gets_the_code_of_a_refusal(locked: LiveServer) -> None:
    script = """
      import { io } from "socket.io-client";
      const socket = io(process.argv[2], { auth: { token: "no" } });
      socket.on("connect_error", (error) => {
        console.log(JSON.stringify([error.message, error.data]));
        socket.disconnect();
      });
    """
    result = subprocess.run(
        [needs.node_with_socketio_client(), "--input-type=module", "-", locked.url],
        input=script,
        cwd=needs.JAVASCRIPT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    message, data = json.loads(result.stdout)
    assert data == {"code": "token_refused", "detail": message}


def test_both_keys_open_a_connection(locked: LiveServer, room: str) -> None:
    for kid in (None, "b"):
        client = PythonClient(locked.url, auth={"token": token("ada", room, kid=kid)})
        assert client.call("join_room", join(room, "ada"))["ok"]
        client.disconnect()


def test_a_connection_ends_with_its_token(locked: LiveServer, room: str) -> None:
    watcher = joined(locked, "bob", room)
    brief = joined(locked, "ada", room, ttl=1.5)
    hears(brief, "token_expired", lambda body: body["code"] == "token_expired")
    eventually(lambda: not brief.connected, "the connection is closed")
    shows(watcher, "ada", is_active=False)
    watcher.disconnect()


@pytest.fixture
def returning(locked: LiveServer) -> Generator[Callable[[str], JavaScriptClient]]:
    """Connect the official JavaScript client, which shows its secret again when it reconnects."""
    made: list[JavaScriptClient] = []

    def make(token: str) -> JavaScriptClient:
        made.append(JavaScriptClient(locked.url, auth={"token": token}))
        return made[-1]

    yield make
    for client in made:
        client.disconnect()


Returning = Callable[[str], JavaScriptClient]


def test_a_fresh_token_gets_the_place_back(returning: Returning, room: str) -> None:
    client = returning(token("ada", room, ttl=5))
    assert client.call("join_room", join(room, "ada"))["ok"]
    client.show({"token": token("ada", room)})
    hears(client, "token_expired")
    eventually(
        lambda: len(events(client, "join_room_success")) == 2, "the client is put back by itself"
    )


def test_the_old_token_gets_nothing_back(
    locked: LiveServer, returning: Returning, room: str
) -> None:
    client = returning(token("ada", room, ttl=12))
    assert client.call("join_room", join(room, "ada"))["ok"]
    assert hears(client, "connect_error", seconds=40)["code"] == "token_expired"
    peer = ask(locked, "GET", f"{ROOMS}/{room}/peers/ada", admin(room)).json()
    assert not peer["is_active"]


@pytest.mark.parametrize(
    ("lost", "code"),
    [
        ({"grants": ["signal", "list"]}, "not_granted"),
        ({"room": "another"}, "not_granted"),
        ({"peer_id": "bob"}, "wrong_peer"),
    ],
    ids=["the grant", "the room", "the peer"],
)
def test_a_place_is_not_given_back_to_who_has_lost_the_right(
    locked: LiveServer, returning: Returning, room: str, lost: dict[str, Any], code: str
) -> None:
    client = returning(token("ada", room))
    assert client.call("join_room", join(room, "ada"))["ok"]
    client.show({"token": token(**({"peer_id": "ada", "room": room} | lost))})
    client.drop()
    assert hears(client, "join_room_error")["code"] == code
    assert len(events(client, "join_room_success")) == 1
    assert not ask(locked, "GET", f"{ROOMS}/{room}/peers/ada", admin(room)).json()["is_active"]
    assert client.call("signal", {"to": "ada", "data": 1})["code"] == "not_joined"


def test_the_list_of_rooms_changes_for_those_alone_who_may_know_of_it(
    locked: LiveServer, room: str
) -> None:
    ours = PythonClient(locked.url, auth={"token": token("eve", f"{room}-*", "list")})
    others = PythonClient(locked.url, auth={"token": token("eve", "elsewhere-*", "list")})
    for client in (ours, others):
        assert client.call("watch", {})["ok"]
    made = joined(locked, "ada", f"{room}-1")
    hears(ours, "rooms_changed")
    assert events(others, "rooms_changed") == []
    for client in (ours, others, made):
        client.disconnect()
