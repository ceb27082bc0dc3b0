"""WebSocket frames that no client would send: they close their own connection and hurt nobody."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from tests.support.clients import hears, shows
from tests.support.streams import BINARY, CLOSE, PING, PONG, TEXT, WebSocketStream, frame

Connect = Callable[..., Any]
CONTINUATION = 0
LIMIT = 100_000

ILLEGAL: dict[str, bytes] = {
    "unmasked": frame(TEXT, b"2", masked=False),
    "reserved opcode": frame(3, b"x"),
    "reserved control opcode": frame(11, b"x"),
    "reserved bit": frame(TEXT, b"2", reserved=2),
    "compressed without agreement": frame(TEXT, b"2", reserved=4),
    "length of 2^63": frame(TEXT, b"", claimed_length=2**63),
    "length of 2^64-1": frame(TEXT, b"x" * 100, claimed_length=2**64 - 1),
    "just beyond the limit": frame(TEXT, b"", claimed_length=LIMIT + 1),
    "long ping": frame(PING, b"x" * 126),
    "fragmented ping": frame(PING, b"x", final=False),
    "long close": frame(CLOSE, struct.pack("!H", 1000) + b"x" * 124),
    "close with one byte": frame(CLOSE, b"x"),
    "close with a reserved code": frame(CLOSE, struct.pack("!H", 1005)),
    "close with a reason that is no text": frame(CLOSE, struct.pack("!H", 1000) + b"\xff"),
    "continuation of nothing": frame(CONTINUATION, b"x"),
    "a message within a message": frame(TEXT, b"4", final=False) + frame(TEXT, b"2"),
    "invalid UTF-8": frame(TEXT, b"42\xff\xfe"),
    "a surrogate in UTF-8": frame(TEXT, b"42\xed\xa0\x80"),
    "UTF-8 cut off at the end": frame(TEXT, b'42["x","\xc3', final=False)
    + frame(CONTINUATION, b'"]'),
    "fragments beyond the limit in total": frame(TEXT, b"4" * 1000, final=False)
    + frame(CONTINUATION, b"x" * 1000, final=False) * (LIMIT // 1000),
    "fragments of one byte beyond the limit": frame(TEXT, b"4", final=False)
    + frame(CONTINUATION, b"x", final=False) * LIMIT,
    "binary fragments beyond the limit": frame(BINARY, b"", final=False)
    + frame(CONTINUATION, b"x" * 50_000, final=False) * 3,
    "no frames at all": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10,
}


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    live = LiveServer(
        tmp_path_factory.mktemp(f"frames-{request.param}"),
        mode=request.param,
        PRESENCE_MAX_MESSAGE_BYTES=LIMIT,
    ).start()
    yield live
    live.kill()


on_eventlet = pytest.mark.parametrize("target", ["eventlet"], indirect=True)


def joining(peer_id: str) -> dict[str, Any]:
    return {"room_name": "frames", "peer_id": peer_id, "username": peer_id.title()}


@on_eventlet
def test_illegal_frames_close_only_their_own_connection(
    target: LiveServer, connect: Connect
) -> None:
    canary = connect(target, "javascript")
    canary.call("join_room", joining("canary"))
    memory = target.memory()
    for what, sent in ILLEGAL.items():
        stream = WebSocketStream(target)
        stream.emit("join_room", joining("attacker"))
        stream.event("join_room_success")
        stream.send(sent)
        assert stream.ends(10), what
        stream.close()
    shows(canary, "attacker", is_active=False)
    assert canary.call("update_user_data", {"user_data": {"still": "here"}})["ok"]
    assert target.memory() - memory < 32 * 1024 * 1024
    assert "Traceback" not in target.log_text()


def test_illegal_frames_do_no_harm_whatever_reads_them(
    target: LiveServer, connect: Connect
) -> None:
    canary = connect(target, "javascript")
    canary.call("join_room", joining("canary"))
    for sent in ILLEGAL.values():
        WebSocketStream(target).send(sent).close()
    assert canary.call("update_user_data", {"user_data": {"still": "here"}})["ok"]
    assert WebSocketStream(target).status == 101


def test_a_message_in_fragments_is_one_message(target: LiveServer) -> None:
    stream = WebSocketStream(target)
    text = b'42["leave_room",{"x":"\xc3\xa4"}]'
    stream.send(frame(TEXT, text[:1], final=False))
    for byte in text[1:-1]:
        stream.send(frame(CONTINUATION, bytes([byte]), final=False))
        stream.send(frame(PING, b"between"))
    stream.send(frame(CONTINUATION, text[-1:]))
    assert stream.event("leave_room_error")["code"] == "not_joined"


@on_eventlet
@pytest.mark.parametrize(
    "sent",
    [
        frame(PING, b"x" * 125),
        frame(PONG, b""),
        frame(TEXT, b"", final=False) + frame(CONTINUATION, b"", final=True),
        frame(TEXT, b""),
        frame(BINARY, b""),
        frame(TEXT, b"3"),
    ],
    ids=["pings", "pongs", "empty fragments", "empty texts", "empty binaries", "unasked answers"],
)
def test_a_flood_of_small_frames_holds_up_nobody(
    target: LiveServer, connect: Connect, sent: bytes
) -> None:
    canary = connect(target)
    canary.call("join_room", joining("canary"))
    memory = target.memory()
    stream = WebSocketStream(target)
    stream.socket.settimeout(0.5)
    for _ in range(20):
        try:
            stream.send(sent * 1000)
        except TimeoutError:
            break
        assert canary.call("update_user_data", {"user_data": {}})["ok"]
    assert WebSocketStream(target).status == 101
    assert target.memory() - memory < 16 * 1024 * 1024
    assert "Traceback" not in target.log_text()
    stream.close()


@on_eventlet
def test_an_endless_message_of_empty_fragments_ends(target: LiveServer, connect: Connect) -> None:
    canary = connect(target)
    canary.call("join_room", joining("canary"))
    memory = target.memory()
    stream = WebSocketStream(target)
    stream.send(frame(TEXT, b"4", final=False))
    for _ in range(50):
        stream.send(frame(CONTINUATION, b"", final=False) * 1000)
    assert canary.call("update_user_data", {"user_data": {}})["ok"]
    assert target.memory() - memory < 16 * 1024 * 1024
    stream.close()
    hears(canary, "peer_list_updated")
