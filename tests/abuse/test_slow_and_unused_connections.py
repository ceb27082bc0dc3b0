"""Connections that send nothing, or a byte at a time, or nothing that matters: cut in time."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.streams import PONG, TEXT, Stream, WebSocketStream, frame

PATIENCE = 2.0
# What a busy machine may take on top.
SLACK = 6.0


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A server that waits only two seconds for what is to come."""
    live = LiveServer(
        tmp_path_factory.mktemp("hasty"),
        PRESENCE_READ_SECONDS=PATIENCE,
        PRESENCE_PING_TIMEOUT=60,
        PRESENCE_MAX_USER_DATA_BYTES=500_000,
    ).start()
    yield live
    live.kill()


def drip(stream: Stream, text: bytes, seconds: float = PATIENCE + SLACK) -> float:
    """Send a byte every tenth of a second until the server hangs up; return after how long."""
    began = time.monotonic()
    for number in range(int(seconds * 10)):
        stream.send(text[number % len(text) :][:1])
        stream.socket.settimeout(0.1)
        try:
            if not stream.socket.recv(4096):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        raise AssertionError(f"still connected after {seconds} s")
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"", b"GET /api/webrtc/rooms HTTP/1.1 "),
        (b"GET /api/webrtc/rooms HTTP/1.1\r\nHost: x\r\n", b"X-Header: y\r\n"),
        (b"GET /api/webrtc/rooms HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /"),
    ],
    ids=["request line", "headers", "second request"],
)
def test_a_request_that_comes_byte_by_byte_is_cut(
    hasty: LiveServer, start: bytes, rest: bytes
) -> None:
    stream = Stream(hasty)
    stream.send(start)
    if start.endswith(b"\r\n\r\n"):
        assert stream.answer()[0] == 200
    assert drip(stream, rest) < PATIENCE + SLACK
    assert "Traceback" not in hasty.log_text()


def test_a_connection_that_sends_nothing_is_cut(hasty: LiveServer) -> None:
    began = time.monotonic()
    assert Stream(hasty).read_to_end() == b""
    assert time.monotonic() - began < PATIENCE + SLACK


@pytest.mark.parametrize(
    "head",
    [
        "POST /api/webrtc/rooms/r/join HTTP/1.1\r\nContent-Type: application/json\r\n"
        "Content-Length: 100000\r\n",
        "POST /api/webrtc/rooms/r/join HTTP/1.1\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n",
        "POST /api/webrtc/upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        "Content-Length: 100000\r\n",
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nContent-Length: 100000\r\n",
    ],
    ids=["json", "chunked", "upload", "polling"],
)
def test_a_body_that_does_not_come_is_answered_and_cut(hasty: LiveServer, head: str) -> None:
    if "{sid}" in head:
        opened = requests.get(f"{hasty.url}/socket.io/?EIO=4&transport=polling", timeout=10).text
        head = head.format(sid=opened.split('"sid":"')[1].split('"')[0])
    stream = Stream(hasty).send(head + "Host: x\r\n\r\n")
    stream.send(b"5\r\nhello" if "chunked" in head else b"--b\r\n")
    began = time.monotonic()
    assert stream.answer()[0] == 400
    stream.read_to_end()
    assert PATIENCE - 0.5 < time.monotonic() - began < PATIENCE + SLACK
    assert "Traceback" not in hasty.log_text()
    assert hasty.stored_files() == []


def test_a_body_that_keeps_coming_has_its_time(hasty: LiveServer) -> None:
    body = b'{"peer_id": "slow", "username": "Slow", "user_data": {"x": "%s"}}' % (b"y" * 8000)
    stream = Stream(hasty).send(
        "POST /api/webrtc/rooms/slow/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    began = time.monotonic()
    for start in range(0, len(body), 400):
        stream.send(body[start : start + 400])
        until = time.monotonic() + 0.2
        eventually(lambda at=until: time.monotonic() > at, "the next piece")  # type: ignore[misc]
    assert time.monotonic() - began > PATIENCE + 1
    assert stream.answer()[0] == 200
    stream.close()


def test_a_websocket_that_never_joins_the_socketio_server_is_closed(hasty: LiveServer) -> None:
    silent, lively = (WebSocketStream(hasty, admitted=False) for _ in range(2))
    began = time.monotonic()
    until = began + PATIENCE + SLACK
    while time.monotonic() < until:
        # Pongs keep it alive, but that is not what a connection is for.
        lively.send(frame(TEXT, b"3") + frame(PONG, b""))
        lively.socket.settimeout(0.2)
        try:
            if not lively.read(1):
                break
        except TimeoutError:
            continue
    assert time.monotonic() - began < PATIENCE + SLACK
    assert silent.ends()
    used = WebSocketStream(hasty)
    rested = time.monotonic() + PATIENCE + 1
    eventually(lambda: time.monotonic() > rested, "longer than the patience")
    assert used.emit("leave_room", {}).event("leave_room_error")["code"] == "not_joined"


def test_a_polling_session_that_is_never_used_is_forgotten(hasty: LiveServer) -> None:
    sids = []
    for _ in range(20):
        opened = requests.get(f"{hasty.url}/socket.io/?EIO=4&transport=polling", timeout=10).text
        sids.append(opened.split('"sid":"')[1].split('"')[0])

    def is_unknown(sid: str) -> bool:
        answer: Any = requests.post(
            f"{hasty.url}/socket.io/?EIO=4&transport=polling&sid={sid}", data="3", timeout=10
        )
        return bool(answer.status_code == 400)

    for sid in sids:
        eventually(lambda sid=sid: is_unknown(sid), "it is forgotten", PATIENCE + SLACK, 0.2)  # type: ignore[misc]


@pytest.fixture(scope="module")
def big(hasty: LiveServer) -> str:
    """The path of a room whose list is of 6.4 MB, more than the system takes at once."""
    path = "/api/webrtc/rooms/crowd"
    for number in range(16):
        answer = requests.post(
            f"{hasty.url}{path}/join",
            json={"peer_id": f"p{number}", "username": "P", "user_data": {"x": "y" * 400_000}},
            timeout=10,
        )
        assert answer.ok, answer.text
    return path


def asked_for(server: LiveServer, path: str) -> Stream:
    """Ask for an answer over a connection whose receiving end holds next to nothing."""
    stream = Stream(server, receive_buffer=4096)
    return stream.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


def test_an_answer_that_is_read_bit_by_bit_is_cut(hasty: LiveServer, big: str) -> None:
    slow, steady = asked_for(hasty, big), asked_for(hasty, big)
    began, size = time.monotonic(), 0

    def is_cut() -> bool:
        nonlocal size
        size += len(steady.read(5000))
        try:
            # 4,000 bytes a second at most, and never nothing for long.
            return not slow.socket.recv(400)
        except ConnectionResetError:
            return True

    eventually(is_cut, "it is cut", 2 * PATIENCE + SLACK, 0.1)
    assert time.monotonic() - began > 2 * PATIENCE - 0.5
    # Who reads it faster has the time it takes.
    assert size + len(steady.read_to_end()) > 6_400_000
    assert "Traceback" not in hasty.log_text()


@pytest.mark.parametrize("all_rooms", [False, True])
def test_many_who_read_one_list_slowly_hold_one_copy_of_it(
    hasty: LiveServer, big: str, all_rooms: bool
) -> None:
    path = "/api/webrtc/rooms" if all_rooms else big
    requests.get(hasty.url + path, timeout=10)
    before = hasty.memory()
    readers = [asked_for(hasty, path) for _ in range(10)]
    for stream in readers:
        assert stream.read(4) == b"HTTP"
    grown = hasty.memory() - before
    for stream in readers:
        stream.close()
    # Each would have 6.4 MB to itself.
    assert grown < 25_000_000


def test_a_client_that_does_not_read_its_answer_holds_up_nobody(hasty: LiveServer) -> None:
    requests.post(
        f"{hasty.url}/api/webrtc/rooms/big/join",
        json={"peer_id": "a", "username": "A", "user_data": {"x": "y" * 15_000}},
        timeout=10,
    )
    deaf = [Stream(hasty) for _ in range(20)]
    for stream in deaf:
        stream.send("GET /api/webrtc/rooms HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
    began = time.monotonic()
    assert requests.get(f"{hasty.url}/api/webrtc/rooms/big", timeout=10).ok
    assert time.monotonic() - began < 5
    for stream in deaf:
        stream.close()
    assert "Traceback" not in hasty.log_text()
