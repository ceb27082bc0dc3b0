"""What a socket gets for bad input: always an answer, never silence, and nothing lost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import requests
from pydantic import ValidationError

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.errors import InvalidField
from presence.transport.wire import messages
from tests.support.clients import events, hears
from tests.support.raw_socket import RawSocket

Connect = Callable[..., Any]


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"x": value}
    return value


@pytest.fixture
def alice(server: LiveServer, connect: Connect, room: str) -> Any:
    client = connect(server)
    client.call("join_room", {"room_name": room, "peer_id": "alice", "username": "Alice"})
    return client


BAD_JOINS: list[tuple[Any, str, str | None]] = [
    (None, "invalid_json", None),
    ([], "invalid_json", None),
    ("text", "invalid_json", None),
    ({}, "invalid_field", "room_name"),
    ({"room_name": "r", "peer_id": "p"}, "invalid_field", "username"),
    ({"room_name": "r", "peer_id": "p", "username": ""}, "invalid_field", "username"),
    ({"room_name": "r", "peer_id": "p", "username": "  "}, "invalid_field", "username"),
    ({"room_name": "r", "peer_id": "p", "username": "x" * 65}, "invalid_field", "username"),
    ({"room_name": "x" * 129, "peer_id": "p", "username": "u"}, "invalid_field", "room_name"),
    ({"room_name": 7, "peer_id": "p", "username": "u"}, "invalid_field", "room_name"),
    ({"room_name": "r", "peer_id": None, "username": "u"}, "invalid_field", "peer_id"),
    *(
        ({"room_name": "r", "peer_id": name, "username": "u"}, "invalid_field", "peer_id")
        for name in (".", "..", "a/b", "a\\b", "a\nb", "a\x00b", "a\u202eb", "a\u2066b", "\ud800")
    ),
    *(
        (
            {"room_name": "r", "peer_id": "p", "username": "u", "user_data": {"a": {"b": [value]}}},
            "invalid_field",
            "user_data.a.b[0]",
        )
        for value in (math.nan, math.inf, "\ud800", "a\x00b")
    ),
    (
        {"room_name": "r", "peer_id": "p", "username": "u", "user_data": nested(17)},
        "invalid_field",
        None,
    ),
    (
        {"room_name": "r", "peer_id": "p", "username": "u", "user_data": {"x": "y" * 16_384}},
        "user_data_too_large",
        "user_data",
    ),
    (
        {"room_name": "r", "peer_id": "p", "username": "u", "user_data": "text"},
        "invalid_field",
        "user_data",
    ),
]


@pytest.mark.parametrize(("message", "code", "field"), BAD_JOINS)
def test_a_bad_join_is_answered_with_the_field_and_nothing_is_lost(
    room: str, alice: Any, message: Any, code: str, field: str | None
) -> None:
    alice.emit("join_room", message)
    error = hears(alice, "join_room_error")
    assert error["code"] == code
    assert error["detail"].endswith(".")
    if field is not None:
        assert error["field"] == field
        assert error["detail"].startswith(field)
    assert alice.call("update_user_data", {"user_data": {"still": "here"}})["room_name"] == room


def test_data_of_exactly_the_allowed_size_and_depth_is_taken(alice: Any) -> None:
    full = {"x": "y" * (16_384 - len('{"x":""}'))}
    assert alice.call("update_user_data", {"user_data": full})["ok"]
    assert alice.call("update_user_data", {"user_data": nested(16), "replace": True})["ok"]


def test_merging_cannot_grow_beyond_the_limit(alice: Any) -> None:
    assert alice.call("update_user_data", {"user_data": {"a": "x" * 9000}})["ok"]
    refused = alice.call("update_user_data", {"user_data": {"b": "x" * 9000}})
    assert (refused["code"], refused["limit"]) == ("user_data_too_large", 16_384)
    kept = alice.call("update_user_data", {"user_data": {"c": 1}})["user_data"]
    assert set(kept) == {"a", "c"}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({}, "user_data"),
        ({"user_data": None}, "user_data"),
        ({"remove": "a"}, "remove"),
        ({"remove": [1]}, "remove.0"),
        ({"user_data": {}, "replace": "maybe"}, "replace"),
        ({"user_data": {}, "if_version": 2**63}, "if_version"),
        ({"user_data": {}, "if_version": -1}, "if_version"),
    ],
)
def test_a_bad_update_is_answered_with_the_field(alice: Any, message: Any, field: str) -> None:
    alice.emit("update_user_data", message)
    error = hears(alice, "update_user_data_error")
    assert (error["code"], error["field"]) == ("invalid_field", field)


@pytest.mark.parametrize("since", [-1, 2**63, "1", None])
def test_a_sync_since_what_is_no_version_is_answered_with_the_field(alice: Any, since: Any) -> None:
    refused = alice.call("sync", {"since": since})
    assert (refused["code"], refused["field"]) == ("invalid_field", "since")
    assert alice.call("sync", {"since": 2**63 - 1})["full"]


def test_of_many_names_at_fault_only_the_first_is_looked_at() -> None:
    with pytest.raises(InvalidField) as caught:
        messages.parse_update({"remove": [1] * 1000}, 1000)
    assert caught.value.field == "remove.0"
    assert isinstance(caught.value.__context__, ValidationError)
    assert caught.value.__context__.error_count() == 1


def test_a_socket_that_joined_nothing_is_told_so(server: LiveServer, connect: Connect) -> None:
    client = connect(server)
    client.emit("update_user_data", {"user_data": {}})
    assert hears(client, "update_user_data_error")["code"] == "not_joined"
    client.emit("leave_room")
    assert hears(client, "leave_room_error")["code"] == "not_joined"


@pytest.mark.parametrize("name", ["no_such_event", "message", "join_room_success", "_"])
def test_an_unknown_event_is_answered(alice: Any, name: str) -> None:
    answer = alice.call(name, {"x": 1})
    assert (answer["ok"], answer["code"]) == (False, "unknown_event")
    assert hears(alice, f"{name}_error")["code"] == "unknown_event"


def test_an_unknown_event_whose_name_is_no_text_is_answered(server: LiveServer) -> None:
    raw = RawSocket(server)
    raw.send('42["\\ud800",{}]')
    assert "unknown_event" in raw.receive()
    raw.close()
    assert "Traceback" not in server.log_text()


@pytest.mark.parametrize(
    "arguments", ["{broken", "NaN}", '{"a":1e', "[" * 5000, '"\\ud800', '{"a":"\x01"}']
)
def test_an_event_with_broken_json_is_answered_and_acknowledged(
    server: LiveServer, arguments: str
) -> None:
    raw = RawSocket(server)
    raw.send(f'427["join_room",{arguments}]')
    answers = [json.loads(raw.receive().lstrip("0123456789")) for _ in range(2)]
    assert [answers[0][0], answers[0][1]["code"]] == ["join_room_error", "invalid_json"]
    assert (answers[1][0]["ok"], answers[1][0]["code"]) == (False, "invalid_json")
    raw.send('42["leave_room"]')
    assert "not_joined" in raw.receive()
    raw.close()


@pytest.mark.parametrize(
    "garbage",
    [
        "9",
        "49",
        "42",
        "42{}",
        "42[]",
        "42[1]",
        '42["disconnect"]',
        '42["connect",{}]',
        "42x",
        "48/",
    ],
)
def test_what_is_no_packet_closes_only_its_own_connection(
    server: LiveServer, alice: Any, garbage: str
) -> None:
    raw = RawSocket(server)
    raw.send(garbage)
    while text := raw.receive():
        assert text in {"1", "41"}
    assert alice.call("update_user_data", {"user_data": {}})["ok"]
    assert "Traceback" not in server.log_text()


def test_binary_data_is_refused_with_a_sentence(alice: Any) -> None:
    answer = alice.call("update_user_data", {"user_data": {"picture": b"\x89PNG"}})
    assert (answer["code"], answer["field"]) == ("invalid_field", "user_data.picture")


def test_nothing_a_peer_sends_breaks_the_others(
    server: LiveServer, room: str, connect: Connect
) -> None:
    """The canary: a JavaScript client in the room parses every list."""
    canary = connect(server, "javascript")
    canary.call("join_room", {"room_name": room, "peer_id": "canary", "username": "Canary"})
    alice = connect(server)
    alice.call("join_room", {"room_name": room, "peer_id": "alice", "username": "<b>A<b>\u200d🎉"})
    for number, value in enumerate(
        [
            math.nan,
            math.inf,
            -math.inf,
            "\ud800",
            1e308,
            -0.0,
            2**53 + 1,
            2**64,
            "\u2028",
            "é",
            "\x7f",
        ]
    ):
        alice.emit("update_user_data", {"user_data": {f"key {number}": value}})
    alice.call("update_user_data", {"user_data": {"last": True}})
    hears(
        canary,
        "peer_list_updated",
        lambda body: any("last" in p["user_data"] for p in body["peers"]),
    )
    assert canary.connected
    assert len(events(alice, "update_user_data_error")) == 4


def test_the_server_logs_no_traceback_for_bad_input(server: LiveServer, alice: Any) -> None:
    for message, _code, _field in BAD_JOINS:
        alice.call("join_room", message)
    assert "Traceback" not in server.log_text()
    assert requests.get(f"{server.url}/api/webrtc/rooms", timeout=10).ok
    eventually(lambda: alice.connected, "still connected")
