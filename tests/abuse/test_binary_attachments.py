"""Events that announce binary attachments: refused by the field, and nothing of them is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from tests.support.streams import BINARY, CLOSE, PING, PONG, WebSocketStream, frame

PLACEHOLDER = {"_placeholder": True, "num": 0}
LARGE = frame(BINARY, b"x" * 990_000)


def nested(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


def announce(stream: WebSocketStream, data: Any, attachments: int) -> None:
    message = {"event": "x", "data": data}
    stream.text(f"45{attachments}-{json.dumps(['broadcast', message])}")


# Threads have memory of their own besides, for what they read.
@pytest.mark.parametrize("server", ["eventlet"], indirect=True)
def test_attachments_that_never_end_hold_no_memory(server: LiveServer) -> None:
    memory = server.memory()
    streams = [WebSocketStream(server) for _ in range(20)]
    for stream in streams:
        announce(stream, PLACEHOLDER, 4)
        stream.send(LARGE * 3).send(frame(PING, b"taken"))
        while (message := stream.message()) != (PONG, b"taken"):
            assert message[0] != CLOSE
    assert server.memory() - memory < 24 * 1024 * 1024
    for stream in streams:
        stream.close()


def in_a_room(server: LiveServer) -> WebSocketStream:
    """Return a socket that has joined: nobody else's messages are read so closely."""
    stream = WebSocketStream(server)
    stream.emit("join_room", {"room_name": "binary", "peer_id": "ada", "username": "Ada"})
    assert stream.event("join_room_success")["peer_id"] == "ada"
    return stream


def test_an_answer_does_not_wait_for_attachments(server: LiveServer) -> None:
    stream = in_a_room(server)
    announce(stream, {"picture": PLACEHOLDER}, 2)
    refused = stream.event("broadcast_error")
    assert (refused["code"], refused["field"]) == ("invalid_field", "data.picture")
    stream.send(frame(BINARY, b"")).send(frame(BINARY, b"\x89PNG"))
    stream.emit("leave_room", {})
    assert stream.event("leave_room_success")["reason"] == "left"
    stream.send(frame(BINARY, b"one too many"))
    assert stream.ends()
    stream.close()


NUMBERS: list[Any] = [7, -1, "x", None, []]


@pytest.mark.parametrize(
    "data",
    [
        *({"_placeholder": True, "num": number} for number in NUMBERS),
        nested(PLACEHOLDER, 250),
        nested(PLACEHOLDER, 900),
    ],
    ids=[*map(str, NUMBERS), "250 deep", "900 deep"],
)
def test_placeholders_of_no_attachment_and_deep_ones_are_refused_by_the_field(
    server: LiveServer, data: Any
) -> None:
    stream = in_a_room(server)
    announce(stream, data, 1)
    stream.send(frame(BINARY, b"\x89PNG"))
    refused = stream.event("broadcast_error")
    assert refused["code"] == "invalid_field"
    assert refused["field"].startswith("data")
    stream.close()
    assert "Traceback" not in server.log_text()


def test_an_event_with_broken_json_may_announce_attachments_too(server: LiveServer) -> None:
    stream = WebSocketStream(server)
    stream.text('451-["broadcast",{broken').send(frame(BINARY, b"\x89PNG"))
    assert stream.event("broadcast_error")["code"] == "invalid_json"
    stream.emit("leave_room", {})
    assert stream.event("leave_room_error")["code"] == "not_joined"
    stream.close()


def test_places_of_attachments_are_not_looked_for_in_what_fits_nowhere(server: LiveServer) -> None:
    stream = in_a_room(server)
    announce(stream, [PLACEHOLDER] * 6_000, 1)
    stream.send(frame(BINARY, b"\x89PNG"))
    assert stream.event("broadcast_error")["code"] == "invalid_json"
    stream.emit("leave_room", {})
    assert stream.event("leave_room_success")["reason"] == "left"
    stream.close()


@pytest.mark.parametrize("kind", [5, 6])
@pytest.mark.parametrize("text", ['42["leave_room"]', "4"], ids=["an event", "nothing"])
def test_a_text_in_the_place_of_an_attachment_ends_the_connection(
    server: LiveServer, kind: int, text: str
) -> None:
    stream = WebSocketStream(server)
    stream.text(f'4{kind}1-["broadcast",{{}}]').text(text)
    assert stream.ends()
    stream.close()
    assert "Traceback" not in server.log_text()
