"""Signals to a peer whose connection was just lost: they wait, arrive in order, or expire."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import Connect, Member, NewServer
from tests.support.clients import events, hears, shows

MODES = pytest.mark.parametrize("mode", ["eventlet", "threading"])


def lose(alice: Any, bob: Any) -> None:
    """Cut Bob's connection, and wait until the room knows."""
    bob.kill()
    shows(alice, "bob", is_active=False)


@pytest.mark.parametrize("kind", ["python", "javascript"])
@pytest.mark.cluster
def test_signals_to_a_lost_peer_wait_and_are_delivered_in_order_when_it_is_back(
    server: LiveServer, member: Member, kind: str
) -> None:
    alice, bob = member(server, "alice", kind), member(server, "bob", kind)
    shows(alice, "bob", is_active=True)
    lose(alice, bob)
    answers = [alice.call("signal", {"to": "bob", "data": n, "type": "t"}) for n in range(64)]
    assert {answer["status"] for answer in answers} == {"held"}
    assert len({answer["signal_id"] for answer in answers}) == 64
    assert answers[0]["expires_in"] == 10

    back = member(server, "bob", kind)
    eventually(lambda: len(events(back, "signal")) == 64, "everything held arrives")
    assert [body["data"] for body in events(back, "signal")] == list(range(64))
    assert events(back, "signal")[0]["from"] == "alice"
    names = [name for name, _ in back.received]
    assert names.index("join_room_success") < names.index("signal")
    after = alice.call("signal", {"to": "bob", "data": "after"})
    assert after["status"] == "delivered"
    hears(back, "signal", lambda body: body["data"] == "after")
    assert events(alice, "signal_error") == []


def test_at_most_64_signals_wait_and_the_next_is_answered(
    server: LiveServer, member: Member
) -> None:
    alice, bob = member(server, "alice"), member(server, "bob")
    shows(alice, "bob", is_active=True)
    lose(alice, bob)
    for number in range(64):
        assert alice.call("signal", {"to": "bob", "data": number})["status"] == "held"
    answer = alice.call("signal", {"to": "bob", "data": 64})
    assert (answer["ok"], answer["code"]) == (False, "inactive")
    assert "wait" in answer["detail"]
    back = member(server, "bob")
    eventually(lambda: len(events(back, "signal")) == 64, "the 64 arrive")


@MODES
def test_a_signal_that_waited_too_long_is_reported_to_its_sender(
    new_server: NewServer, member: Member, mode: str
) -> None:
    live = new_server(mode, PRESENCE_HOLD_SECONDS=1)
    alice, bob = member(live, "alice"), member(live, "bob")
    shows(alice, "bob", is_active=True)
    lose(alice, bob)
    sent = time.monotonic()
    answer = alice.call("signal", {"to": "bob", "type": "offer", "data": 1})
    assert answer["status"] == "held"
    error = hears(alice, "signal_error")
    assert 0.9 < time.monotonic() - sent < 3
    assert error["code"] == "expired"
    assert (error["to"], error["type"]) == ("bob", "offer")
    assert error["signal_id"] == answer["signal_id"]
    assert error["detail"].endswith(".")
    assert alice.call("signal", {"to": "bob", "data": 2})["code"] == "inactive"
    back = member(live, "bob")
    alice.call("signal", {"to": "bob", "data": 3})
    assert hears(back, "signal")["data"] == 3


def test_a_sender_that_was_lost_itself_learns_of_the_end_on_its_new_connection(
    new_server: NewServer, member: Member
) -> None:
    live = new_server(PRESENCE_HOLD_SECONDS=2)
    alice, bob = member(live, "alice"), member(live, "bob")
    shows(alice, "bob", is_active=True)
    lose(alice, bob)
    assert alice.call("signal", {"to": "bob", "data": 1})["status"] == "held"
    alice.kill()
    again = member(live, "alice")
    assert hears(again, "signal_error")["code"] == "expired"


@pytest.mark.parametrize("farewell", ["leave", "disconnect"])
def test_nothing_waits_for_a_peer_that_said_goodbye(
    server: LiveServer, member: Member, farewell: str
) -> None:
    # python-socketio's client may close the connection before its goodbye is out.
    alice, bob = member(server, "alice"), member(server, "bob", "javascript")
    shows(alice, "bob", is_active=True)
    if farewell == "leave":
        bob.call("leave_room", {})
    else:
        bob.disconnect()
    shows(alice, "bob", is_active=False)
    assert alice.call("signal", {"to": "bob", "data": 1})["code"] == "inactive"


@pytest.mark.parametrize(("verb", "code"), [("leave", "inactive"), ("erase", "unknown_peer")])
@pytest.mark.cluster
def test_what_waits_for_a_peer_expires_when_it_leaves_over_rest_or_is_erased(
    server: LiveServer, member: Member, room: str, verb: str, code: str
) -> None:
    alice, bob = member(server, "alice"), member(server, "bob")
    shows(alice, "bob", is_active=True)
    lose(alice, bob)
    assert alice.call("signal", {"to": "bob", "data": 1})["status"] == "held"
    url = f"{server.url}/api/webrtc/rooms/{quote(room)}"
    if verb == "leave":
        assert requests.post(f"{url}/leave?peer_id=bob", timeout=10).ok
    else:
        assert requests.delete(f"{url}/peers/bob", timeout=10).ok
    assert hears(alice, "signal_error", seconds=5)["code"] == "expired"
    # Another worker may hear of the room a moment later than of the signal.
    eventually(
        lambda: alice.call("signal", {"to": "bob", "data": 1}).get("code") == code,
        "bob is known to be gone",
    )


def test_what_waits_is_bounded_for_all_peers_together(
    new_server: NewServer, member: Member
) -> None:
    live = new_server(PRESENCE_MAX_HELD_BYTES=100_000)
    alice = member(live, "alice")
    answers = []
    for name in ("bob", "carol", "dave"):
        peer = member(live, name)
        shows(alice, name, is_active=True)
        peer.kill()
        shows(alice, name, is_active=False)
        answers.append(alice.call("signal", {"to": name, "data": "x" * 40_000}))
    assert [answer.get("status") for answer in answers] == ["held", "held", None]
    assert answers[2]["code"] == "inactive"


def test_holding_can_be_switched_off(new_server: NewServer, member: Member) -> None:
    live = new_server(PRESENCE_MAX_HELD_SIGNALS=0)
    alice, bob = member(live, "alice"), member(live, "bob")
    shows(alice, "bob", is_active=True)
    lose(alice, bob)
    assert alice.call("signal", {"to": "bob", "data": 1})["code"] == "inactive"


@MODES
def test_a_signal_sent_after_a_crash_waits_for_a_peer_that_is_not_back_yet(
    new_server: NewServer, member: Member, connect: Connect, mode: str
) -> None:
    live = new_server(mode)
    alice = member(live, "alice")
    member(live, "bob")
    shows(alice, "bob", is_active=True)
    live.kill()
    live.start()
    alice = member(live, "alice")
    assert alice.call("signal", {"to": "bob", "data": "across the crash"})["status"] == "held"
    bob = member(live, "bob")
    assert hears(bob, "signal")["data"] == "across the crash"


def test_a_flood_of_held_signals_leaves_the_server_answering_others(
    server: LiveServer, member: Member
) -> None:
    alice, bob, carol = (member(server, name) for name in ("alice", "bob", "carol"))
    shows(alice, "bob", is_active=True)
    lose(alice, bob)
    for _ in range(500):
        alice.emit("signal", {"to": "bob", "data": "x" * 10_000})
    started = time.monotonic()
    assert carol.call("signal", {"to": "alice", "data": "hello"})["status"] == "delivered"
    assert time.monotonic() - started < 5
    eventually(lambda: len(events(alice, "signal_error")) == 500 - 64, "the rest is refused")
    assert {error["code"] for error in events(alice, "signal_error")} == {"inactive"}
