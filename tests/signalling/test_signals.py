"""What becomes of a signal: every outcome of its acknowledgement, and who gets what."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import Connect, Member, NewServer
from tests.support.clients import events, hears

KINDS = pytest.mark.parametrize("kind", ["python", "javascript"])


@KINDS
@pytest.mark.cluster
def test_a_signal_reaches_its_peer_stamped_by_the_server(
    server: LiveServer, member: Member, room: str, kind: str
) -> None:
    alice, bob = member(server, "alice", kind), member(server, "bob", kind)
    data = {"type": "offer", "sdp": "v=0\r\n", "nested": [1, 2.5, None, True, "ünïcödé 🎈"]}
    forged = {"from": "mallory", "from_session": "x", "room_name": "elsewhere"}
    answer = alice.call("signal", {"to": "bob", "type": "offer", "data": data, **forged})
    received = hears(bob, "signal")
    assert received["from"] == "alice"
    assert received["room_name"] == room
    assert received["type"] == "offer"
    assert received["data"] == data
    assert set(received) == {"from", "from_session", "room_name", "type", "data"}
    assert answer["ok"]
    assert answer["status"] == "delivered"
    assert answer["to"] == "bob"


def test_the_sessions_in_a_signal_are_those_of_the_sockets(
    server: LiveServer, member: Member
) -> None:
    alice, bob = member(server, "alice"), member(server, "bob")
    answer = alice.call("signal", {"to": "bob", "data": 1})
    assert answer["to_session"] == bob.sid
    assert hears(bob, "signal")["from_session"] == alice.sid


@pytest.mark.parametrize(
    "data",
    [None, False, 0, -1.5, "", "text", [], {}, [[["deep"]]], {"a\u0000": "\u0000"}, 2**64 - 1],
)
def test_data_may_be_any_json(server: LiveServer, member: Member, data: Any) -> None:
    alice, bob = member(server, "alice"), member(server, "bob")
    assert alice.call("signal", {"to": "bob", "data": data})["status"] == "delivered"
    received = hears(bob, "signal")
    assert received["data"] == data
    assert received["type"] is None


@pytest.mark.cluster
def test_signals_of_one_sender_arrive_in_the_order_in_which_they_were_sent(
    server: LiveServer, member: Member
) -> None:
    alice, bob = member(server, "alice", "javascript"), member(server, "bob", "javascript")
    for number in range(500):
        alice.emit("signal", {"to": "bob", "data": number})
    eventually(lambda: len(events(bob, "signal")) == 500, "all signals arrive")
    assert [body["data"] for body in events(bob, "signal")] == list(range(500))


@KINDS
def test_a_socket_that_has_joined_no_room_cannot_signal(
    server: LiveServer, connect: Connect, member: Member, kind: str
) -> None:
    member(server, "bob")
    stranger = connect(server, kind)
    answer = stranger.call("signal", {"to": "bob", "data": 1})
    assert (answer["ok"], answer["code"]) == (False, "not_joined")


@KINDS
def test_a_signal_to_a_peer_that_never_was_is_answered_with_unknown_peer(
    server: LiveServer, member: Member, kind: str
) -> None:
    answer = member(server, "alice", kind).call("signal", {"to": "nobody", "type": "x", "data": 1})
    assert (answer["ok"], answer["code"]) == (False, "unknown_peer")
    assert (answer["to"], answer["type"]) == ("nobody", "x")
    assert "nobody" in answer["detail"]


def test_a_signal_to_a_peer_that_left_is_answered_with_inactive(
    server: LiveServer, member: Member
) -> None:
    alice, bob = member(server, "alice"), member(server, "bob")
    bob.call("leave_room", {})
    answer = alice.call("signal", {"to": "bob", "data": 1})
    assert (answer["ok"], answer["code"]) == (False, "inactive")
    assert events(bob, "signal") == []


def test_a_peer_that_is_present_over_rest_only_has_nothing_to_hand_a_signal_to(
    server: LiveServer, member: Member, room: str
) -> None:
    alice = member(server, "alice")
    join = {"peer_id": "bob", "username": "Bob"}
    url = f"{server.url}/api/webrtc/rooms/{quote(room)}/join"
    assert requests.post(url, json=join, timeout=10).ok
    answer = alice.call("signal", {"to": "bob", "data": 1})
    assert answer["code"] == "inactive"
    assert "REST" in answer["detail"]


@pytest.mark.parametrize("event", ["join_room", "update_user_data", "signal"])
def test_an_event_longer_than_any_may_be_is_answered_unread_and_the_socket_stays_open(
    server: LiveServer, member: Member, event: str
) -> None:
    """Whatever stands in it; the largest that is allowed may have each character escaped."""
    alice = member(server, "alice")
    for filling in ("x" * 300_000, ["x"] * 100_000, "\u00e9" * 60_000):
        answer = alice.call(event, {"room_name": "den", "filling": filling})
        assert (answer["code"], answer["limit"]) == ("message_too_large", 3 * 65_536 + 65_536)
    assert alice.call("update_user_data", {"user_data": {"n": "\u00e9" * 8000}})["ok"] is True


@KINDS
def test_a_signal_that_is_too_large_is_answered_and_the_socket_stays_open(
    server: LiveServer, member: Member, kind: str
) -> None:
    alice, bob = member(server, "alice", kind), member(server, "bob", kind)
    exactly = "x" * (64 * 1024 - 2)  # with its quotation marks the largest there may be
    answer = alice.call("signal", {"to": "bob", "data": exactly + "x"})
    assert (answer["ok"], answer["code"]) == (False, "too_large")
    assert (answer["size"], answer["limit"]) == (64 * 1024 + 1, 64 * 1024)
    assert alice.connected
    assert alice.call("signal", {"to": "bob", "data": exactly})["status"] == "delivered"
    assert [body["data"] for body in [hears(bob, "signal")]] == [exactly]


def test_the_limit_counts_bytes_and_not_characters(server: LiveServer, member: Member) -> None:
    alice = member(server, "alice")
    member(server, "bob")
    answer = alice.call("signal", {"to": "bob", "data": "é" * 40_000})
    assert answer["code"] == "too_large"


def test_the_limit_is_a_setting(new_server: NewServer, member: Member) -> None:
    live = new_server(PRESENCE_MAX_SIGNAL_BYTES=10)
    alice = member(live, "alice")
    member(live, "bob")
    assert alice.call("signal", {"to": "bob", "data": "12345678"})["ok"]
    assert alice.call("signal", {"to": "bob", "data": "123456789"})["code"] == "too_large"


@KINDS
def test_without_an_acknowledgement_the_reason_comes_as_signal_error(
    server: LiveServer, member: Member, kind: str
) -> None:
    alice = member(server, "alice", kind)
    alice.emit("signal", {"to": "nobody", "type": "offer", "data": 1})
    body = hears(alice, "signal_error")
    assert body["code"] == "unknown_peer"
    assert (body["to"], body["type"]) == ("nobody", "offer")
    assert body["detail"].endswith(".")


def test_no_signal_crosses_rooms(server: LiveServer, member: Member, room: str) -> None:
    alice = member(server, "alice")
    bob = member(server, "bob", room_name=f"{room} next door")
    answer = alice.call("signal", {"to": "bob", "data": "secret", "room_name": f"{room} next door"})
    assert answer["code"] == "unknown_peer"
    answer = alice.call("signal", {"to": "bob", "data": "secret", "to_session": bob.sid})
    assert answer["code"] == "unknown_peer"
    assert alice.call("broadcast", {"event": "x", "data": "secret"})["ok"]
    # A signal within the other room comes through, and is all that came.
    carol = member(server, "carol", room_name=f"{room} next door")
    carol.call("signal", {"to": "bob", "data": "hello"})
    assert hears(bob, "signal")["data"] == "hello"
    assert len(events(bob, "signal")) == 1
    assert events(bob, "broadcast") == []


def test_two_peers_of_the_same_id_in_two_rooms_are_told_apart(
    server: LiveServer, member: Member, room: str
) -> None:
    alice = member(server, "alice")
    bob, other_bob = member(server, "bob"), member(server, "bob", room_name=f"{room} 2")
    alice.call("signal", {"to": "bob", "data": 1})
    hears(bob, "signal")
    assert events(other_bob, "signal") == []


def test_after_moving_to_another_room_signals_go_there_only(
    server: LiveServer, member: Member, room: str
) -> None:
    alice, bob = member(server, "alice"), member(server, "bob")
    alice.call("join_room", {"room_name": f"{room} 2", "peer_id": "alice", "username": "Alice"})
    assert alice.call("signal", {"to": "bob", "data": 1})["code"] == "unknown_peer"
    assert bob.call("signal", {"to": "alice", "data": 1})["code"] == "inactive"
    assert events(alice, "signal") == []


def test_of_several_sessions_the_newest_gets_the_signal_unless_one_is_chosen(
    server: LiveServer, member: Member
) -> None:
    alice = member(server, "alice")
    first, second = member(server, "bob"), member(server, "bob")
    assert alice.call("signal", {"to": "bob", "data": "newest"})["to_session"] == second.sid
    chosen = {"to": "bob", "to_session": first.sid, "data": "chosen"}
    assert alice.call("signal", chosen)["to_session"] == first.sid
    assert hears(second, "signal")["data"] == "newest"
    assert hears(first, "signal")["data"] == "chosen"
    assert [len(events(bob, "signal")) for bob in (first, second)] == [1, 1]

    second.call("leave_room", {})
    assert alice.call("signal", {"to": "bob", "data": "left"})["to_session"] == first.sid
    gone = {"to": "bob", "to_session": second.sid, "data": 1}
    answer = alice.call("signal", gone)
    assert (answer["code"], answer["to_session"]) == ("inactive", second.sid)
    assert "to_session" in answer["detail"]


def test_a_session_of_somebody_else_cannot_be_chosen(server: LiveServer, member: Member) -> None:
    alice, carol = member(server, "alice"), member(server, "carol")
    member(server, "bob")
    answer = alice.call("signal", {"to": "bob", "to_session": carol.sid, "data": 1})
    assert answer["code"] == "inactive"
    assert events(carol, "signal") == []


def test_a_peer_is_found_by_any_form_of_its_id(server: LiveServer, member: Member) -> None:
    member(server, "Zoe\u0301")
    answer = member(server, "alice").call("signal", {"to": "Zoe\u0301", "data": 1})
    assert answer["status"] == "delivered"


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        (None, "invalid_json", None),
        ([], "invalid_json", None),
        ("text", "invalid_json", None),
        ({}, "invalid_field", "to"),
        ({"data": 1}, "invalid_field", "to"),
        ({"to": 7, "data": 1}, "invalid_field", "to"),
        ({"to": "", "data": 1}, "invalid_field", "to"),
        ({"to": "a/b", "data": 1}, "invalid_field", "to"),
        ({"to": "\ud800", "data": 1}, "invalid_field", "to"),
        ({"to": "x" * 129, "data": 1}, "invalid_field", "to"),
        ({"to": "bob"}, "invalid_field", "data"),
        ({"to": "bob", "data": float("nan")}, "invalid_field", "data"),
        ({"to": "bob", "data": {"a": [float("inf")]}}, "invalid_field", "data.a[0]"),
        ({"to": "bob", "data": "\udc00"}, "invalid_field", "data"),
        ({"to": "bob", "data": {"\udc00": 1}}, "invalid_field", "data"),
        ({"to": "bob", "data": 1, "type": ""}, "invalid_field", "type"),
        ({"to": "bob", "data": 1, "type": 5}, "invalid_field", "type"),
        ({"to": "bob", "data": 1, "type": "x" * 65}, "invalid_field", "type"),
        ({"to": "bob", "data": 1, "type": "\ud83d"}, "invalid_field", "type"),
        ({"to": "bob", "data": 1, "to_session": ["x"]}, "invalid_field", "to_session"),
    ],
)
def test_a_malformed_signal_is_answered_with_what_is_wrong(
    server: LiveServer, member: Member, message: Any, code: str, field: str | None
) -> None:
    alice, bob = member(server, "alice"), member(server, "bob")
    answer = alice.call("signal", message)
    assert (answer["ok"], answer["code"], answer.get("field")) == (False, code, field)
    assert alice.call("signal", {"to": "bob", "data": "still here"})["ok"]
    assert hears(bob, "signal")["data"] == "still here"


def test_data_that_is_nested_too_deeply_is_refused(server: LiveServer, member: Member) -> None:
    alice = member(server, "alice")
    member(server, "bob")

    def nested(levels: int) -> Any:
        value: Any = "x"
        for _ in range(levels):
            value = [value]
        return value

    assert alice.call("signal", {"to": "bob", "data": nested(64)})["ok"]
    assert alice.call("signal", {"to": "bob", "data": nested(65)})["code"] == "invalid_field"
    assert alice.call("signal", {"to": "bob", "data": nested(300)})["code"] == "invalid_field"


@KINDS
def test_a_broadcast_reaches_everyone_else_in_the_room(
    server: LiveServer, member: Member, room: str, kind: str
) -> None:
    alice, bob, carol = (member(server, name, kind) for name in ("alice", "bob", "carol"))
    answer = alice.call("broadcast", {"event": "hand_raised", "data": {"n": 1}})
    assert (answer["ok"], answer["status"]) == (True, "delivered")
    for other in (bob, carol):
        received = hears(other, "broadcast")
        assert received["from"] == "alice"
        assert received["room_name"] == room
        assert (received["event"], received["data"]) == ("hand_raised", {"n": 1})
    bob.call("broadcast", {"event": "x", "data": None})
    assert hears(alice, "broadcast")["from"] == "bob"
    assert len(events(alice, "broadcast")) == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (None, "invalid_json"),
        ({"event": "x"}, "invalid_field"),
        ({"data": 1}, "invalid_field"),
        ({"event": "x" * 65, "data": 1}, "invalid_field"),
        ({"event": "x", "data": float("nan")}, "invalid_field"),
        ({"event": "x", "data": "y" * 64 * 1024}, "too_large"),
        ({"event": "x", "data": [1] * 40_000 + ["\ud800"]}, "too_large"),
    ],
)
def test_a_broadcast_has_the_same_limits(
    server: LiveServer, member: Member, message: Any, code: str
) -> None:
    alice, bob = member(server, "alice"), member(server, "bob")
    assert alice.call("broadcast", message)["code"] == code
    assert hears(alice, "broadcast_error")["code"] == code
    alice.call("signal", {"to": "bob", "data": 1})
    hears(bob, "signal")
    assert events(bob, "broadcast") == []


def test_a_broadcast_needs_a_room(server: LiveServer, connect: Connect) -> None:
    assert connect(server).call("broadcast", {"event": "x", "data": 1})["code"] == "not_joined"
