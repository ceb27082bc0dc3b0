"""What a backend says in a room over REST: who hears it, as what, and what it is answered."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import Member, NewServer
from tests.support.clients import events, hears, shows

STAMP = {"from": None, "from_session": None, "from_server": True}


def publish(server: LiveServer, room: str, what: str, **message: Any) -> Any:
    url = f"{server.url}/api/webrtc/rooms/{quote(room)}/{what}"
    return requests.post(url, json=message, timeout=10).json()


@pytest.mark.cluster
def test_everybody_in_the_room_hears_a_broadcast_in_the_servers_name(
    server: LiveServer, member: Member, room: str
) -> None:
    people = [member(server, name) for name in ("alice", "bob")]
    data = {"text": "ünïcödé 🎈", "deep": [[1, None]]}
    forged = {"from": "mallory", "from_server": False, "room_name": "elsewhere"}
    answer = publish(server, room, "broadcast", event="notice", data=data, name="Desk", **forged)
    assert answer == {
        "success": True,
        "status": "delivered",
        "event": "notice",
        "room_name": room,
    }
    for person in people:
        heard = hears(person, "broadcast")
        assert heard == {
            **STAMP,
            "name": "Desk",
            "room_name": room,
            "event": "notice",
            "data": data,
        }


def test_backends_that_ask_for_broadcasts_are_told_of_one(new_server: NewServer) -> None:
    server = new_server(PRESENCE_KEEP_EVENTS="1d", PRESENCE_EVENTS="broadcast_sent")
    url = f"{server.url}/api/webrtc"
    who = {"peer_id": "ada", "username": "Ada"}
    requests.post(f"{url}/rooms/r/join", json=who, timeout=10)
    publish(server, "r", "broadcast", event="notice", data={"n": 1}, name="Desk")
    publish(server, "nowhere", "broadcast", event="notice", data=1)
    told: list[dict[str, Any]] = []

    def is_told() -> bool:
        told[:] = requests.get(f"{url}/events", timeout=10).json()["events"]
        return bool(told)

    eventually(is_told, "it is told")
    facts = ("type", "room_name", "from_server", "username", "event", "data")
    assert [[one.get(name) for name in facts] for one in told] == [
        ["broadcast_sent", "r", True, "Desk", "notice", {"n": 1}]
    ]
    assert "peer_id" not in told[0]


@pytest.mark.cluster
def test_a_broadcast_goes_to_those_it_names_and_not_to_those_it_leaves_out(
    server: LiveServer, member: Member, room: str
) -> None:
    people = {name: member(server, name) for name in ("alice", "bob", "cyd", "dan")}
    people.pop("dan").disconnect()
    shows(people["alice"], "dan", is_active=False)
    named = ["bob", "dan", "nobody", "alice", "bob"]
    answer = publish(server, room, "broadcast", event="some", data=1, to=named)
    assert answer["to"] == [
        {"peer_id": "bob", "status": "delivered"},
        {"peer_id": "dan", "status": "inactive"},
        {"peer_id": "nobody", "status": "unknown"},
        {"peer_id": "alice", "status": "delivered"},
    ]
    left_out = {"except": ["alice", "nobody"]}
    assert publish(server, room, "broadcast", event="others", data=2, **left_out)["success"]
    assert publish(server, room, "broadcast", event="end", data=3)["success"]
    heard = {}
    for name, person in people.items():
        hears(person, "broadcast", lambda body: body["event"] == "end")
        heard[name] = [body["event"] for body in events(person, "broadcast")]
    assert heard == {
        "alice": ["some", "end"],
        "bob": ["some", "others", "end"],
        "cyd": ["others", "end"],
    }


@pytest.mark.cluster
def test_a_signal_reaches_a_peer_and_is_answered_as_over_a_socket(
    server: LiveServer, member: Member, room: str
) -> None:
    alice = member(server, "alice")
    answer = publish(server, room, "peers/alice/signal", type="order", data={"n": 1})
    assert answer.pop("success")
    assert answer == {
        "to": "alice",
        "type": "order",
        "status": "delivered",
        "to_session": alice.sid,
    }
    assert hears(alice, "signal") == {
        **STAMP,
        "name": None,
        "room_name": room,
        "type": "order",
        "data": {"n": 1},
    }
    second = member(server, "alice")
    for session in (alice.sid, second.sid):
        answer = publish(server, room, "peers/alice/signal", data=2, session=session)
        assert answer.get("to_session") == session, answer
    hears(alice, "signal", lambda body: body["data"] == 2)
    assert [body["data"] for body in events(alice, "signal")] == [{"n": 1}, 2]
    hears(second, "signal", lambda body: body["data"] == 2)
    assert publish(server, room, "peers/nobody/signal", data=1)["code"] == "unknown_peer"
    second.call("leave_room", {})
    alice.call("leave_room", {})
    assert publish(server, room, "peers/alice/signal", data=1)["code"] == "inactive"


def test_a_signal_waits_for_a_lost_peer_in_order_with_those_of_others(
    new_server: NewServer, member: Member, room: str
) -> None:
    server = new_server(PRESENCE_HOLD_SECONDS=20)
    alice, bob = member(server, "alice"), member(server, "bob")
    bob.kill()
    shows(alice, "bob", is_active=False)
    first = publish(server, room, "peers/bob/signal", data=1)
    assert (first.get("status"), first.get("expires_in")) == ("held", 20), first
    assert alice.call("signal", {"to": "bob", "data": 2})["status"] == "held"
    assert publish(server, room, "peers/bob/signal", data=3)["status"] == "held"
    bob = member(server, "bob")
    eventually(lambda: len(events(bob, "signal")) == 3, "all that waited arrives")
    assert [(body["from"], body["data"]) for body in events(bob, "signal")] == [
        (None, 1),
        ("alice", 2),
        (None, 3),
    ]


def test_what_nobody_takes_in_time_is_told_to_nobody(
    new_server: NewServer, member: Member, room: str
) -> None:
    server = new_server(PRESENCE_HOLD_SECONDS=0.5)
    alice, bob = member(server, "alice"), member(server, "bob")
    bob.kill()
    shows(alice, "bob", is_active=False)
    assert publish(server, room, "peers/bob/signal", data=1)["status"] == "held"
    assert alice.call("signal", {"to": "bob", "data": 2})["status"] == "held"
    told = hears(alice, "signal_error")
    assert told["code"] == "expired"
    assert len(events(alice, "signal_error")) == 1
    assert "Traceback" not in server.log_text()


DEEP: Any = []
for _ in range(70):
    DEEP = [DEEP]
BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "no event": ("broadcast", {"data": 1}, "invalid_field"),
    "no data": ("broadcast", {"event": "x"}, "invalid_field"),
    "an event that is too long": ("broadcast", {"event": "x" * 65, "data": 1}, "invalid_field"),
    "half a character": ("broadcast", {"event": "\ud800", "data": 1}, "invalid_field"),
    "nobody named": ("broadcast", {"event": "x", "data": 1, "to": []}, "invalid_field"),
    "too many named": (
        "broadcast",
        {"event": "x", "data": 1, "to": ["x"] * 1001},
        "invalid_field",
    ),
    "a name that is none": (
        "broadcast",
        {"event": "x", "data": 1, "except": [1]},
        "invalid_field",
    ),
    "too much": ("broadcast", {"event": "x", "data": "x" * 70_000}, "too_large"),
    "too deep": ("broadcast", {"event": "x", "data": DEEP}, "invalid_field"),
    "a signal without data": ("peers/alice/signal", {}, "invalid_field"),
    "a signal of a type that is none": (
        "peers/alice/signal",
        {"type": "", "data": 1},
        "invalid_field",
    ),
    "a signal that is too large": (
        "peers/alice/signal",
        {"data": "x" * 70_000},
        "too_large",
    ),
}


def test_what_cannot_be_said_is_answered_with_a_code(
    server: LiveServer, member: Member, room: str
) -> None:
    alice = member(server, "alice")
    for what, (path, message, code) in BAD.items():
        assert publish(server, room, path, **message)["code"] == code, what
    assert (
        publish(server, "no such room", "broadcast", event="x", data=1)["code"] == "room_not_found"
    )
    hints = publish(server, room, "broadcast", event="x", data=1, nmae="y", excepts=[])["hints"]
    assert ["“name”" in hints[0], "“except”" in hints[1]] == [True, True], hints
    hears(alice, "broadcast")
    assert len(events(alice, "broadcast")) == 1
