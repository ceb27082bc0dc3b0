"""Requests that are under way: one address holds so many, slow bodies give way, and posts end."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import socket
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import requests
from werkzeug.test import create_environ

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import Settings
from presence.errors import AnswersTooLarge
from presence.transport.admission import requests_in_flight
from presence.transport.admission.requests_in_flight import RequestsInFlight
from presence.transport.live.shared_bodies import SharedBodies
from tests.support.streams import Stream

NewServer = Callable[..., LiveServer]
AT_ONCE = 10
_POST = "POST /api/webrtc/rooms/studio/join HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{"


def test_one_address_with_slow_bodies_keeps_nobody_out(new_server: NewServer) -> None:
    server = new_server(PRESENCE_REQUESTS_AT_ONCE=AT_ONCE, PRESENCE_READ_SECONDS=60)
    slow = [Stream(server).send(_POST) for _ in range(AT_ONCE)]
    one_more = Stream(server)

    def refused() -> bool:
        status, body = one_more.send(_POST[:-1] + "x" * 5000).answer()
        return status == 429 and b"too_many_at_once" in body

    eventually(refused, "one more than its address may have is refused", 20)
    other = Stream(server, source="127.0.0.2")
    status, body = other.send("GET /api/webrtc/rooms HTTP/1.1\r\nHost: x\r\n\r\n").answer()
    assert (status, body) == (200, b"{}"), "another address is not held up"
    # Health is asked for from the same machine as everything else may be.
    for stream in slow[:3]:
        stream.close()
    eventually(
        lambda: requests.get(f"{server.url}/healthz", timeout=10).ok, "places are given back", 20
    )
    for stream in (*slow[3:], one_more, other):
        stream.close()


class Transport:
    """A socket that notes whether it was told to let nothing more in."""

    cut = False

    def shutdown(self, how: int) -> None:
        self.cut = how == socket.SHUT_RD


def in_flight(app: Any, **settings: Any) -> Any:
    return RequestsInFlight(app, Settings(**settings))


def a_request(body: bytes, transport: Transport, address: str = "203.0.113.1") -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/webrtc/rooms/studio/join",
        "REMOTE_ADDR": address,
        "CONTENT_LENGTH": "1000",
        "wsgi.input": io.BytesIO(body),
        "gunicorn.socket": transport,
    }


def test_the_slowest_body_gives_way_when_all_places_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(requests_in_flight, "MAX_BODIES", 3)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    transports = [Transport() for _ in range(4)]
    answers: list[Any] = []

    def app(environ: dict[str, Any], _start: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        return [b"done"]

    layer = in_flight(app, requests_at_once=0)
    for transport, sent in zip(transports[:3], (500, 5, 50), strict=True):
        answers.append(layer(a_request(b"x" * sent, transport), lambda *_: None))
    now[0] += 10
    answers.append(layer(a_request(b"", transports[3]), lambda *_: None))
    assert [transport.cut for transport in transports] == [False, True, False, False]
    for answer in answers:
        answer.close()


def test_a_place_is_held_until_the_answer_was_sent_and_given_back_after_an_error() -> None:
    def fails(_environ: Any, _start: Any) -> Iterable[bytes]:
        raise OSError("the app failed")

    statuses: list[str] = []
    layer = in_flight(fails, requests_at_once=1)
    for _ in range(3):
        with pytest.raises(OSError, match="the app failed"):
            layer(a_request(b"", Transport()), lambda status, _headers: statuses.append(status))
    layer = in_flight(lambda _environ, _start: [b"done"], requests_at_once=1)

    def ask() -> Any:
        request = a_request(b"", Transport())
        return layer(request, lambda status, _headers: statuses.append(status))

    first = ask()
    ask()
    assert statuses == ["429 Too Many Requests"]
    first.close()
    assert list(ask()) == [b"done"]


def opened(server: LiveServer) -> str:
    """Open a polling connection; return the path of its requests."""
    path = "/socket.io/?EIO=4&transport=polling"
    greeting = json.loads(requests.get(server.url + path, timeout=10).text[1:])
    return f"{path}&sid={greeting['sid']}"


def chunked(path: str, *chunks: str) -> str:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + "".join(f"{len(chunk):x}\r\n{chunk}\r\n" for chunk in chunks)


def test_packets_that_come_in_chunks_are_not_lost(server: LiveServer) -> None:
    path = opened(server)
    stream = Stream(server)
    assert stream.send(chunked(path, "40", "") + "0\r\n\r\n").answer()[0] == 200
    assert requests.get(server.url + path, timeout=10).text.startswith("40{")
    stream.close()


def test_too_many_packets_in_chunks_are_refused(new_server: NewServer) -> None:
    server = new_server(PRESENCE_MAX_MESSAGE_BYTES=1000)
    path = opened(server)
    stream = Stream(server)
    status, _ = stream.send(chunked(path, "4" * 900, "4" * 900, "") + "0\r\n\r\n").answer()
    assert status in (400, 413)
    assert requests.get(server.url + path, timeout=10).status_code == 400, "the session has ended"
    stream.close()


def test_a_post_that_does_not_end_ends_with_its_session(new_server: NewServer) -> None:
    server = new_server(
        PRESENCE_READ_SECONDS=60, PRESENCE_PING_INTERVAL=0.5, PRESENCE_PING_TIMEOUT=0.5
    )
    path = opened(server)
    stream = Stream(server, timeout=30)
    stream.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n4")
    status, _ = stream.answer()
    assert status in (0, 400), "long before a body may take its time"
    stream.close()


def test_answers_that_are_being_sent_take_so_much_and_no_more() -> None:
    bodies = SharedBodies(max_bytes=1000)
    held = [bodies.get(key, lambda: {"x": "y" * 600}) for key in ("one", "two")]
    assert bodies.get("one", dict) is held[0], "what is being sent already costs nothing"
    with pytest.raises(AnswersTooLarge):
        bodies.get("three", dict)
    held.pop()
    assert len(bodies.get("three", lambda: {"x": "y" * 5000})) > 1000


def test_an_answer_is_let_go_with_its_end_and_not_when_garbage_is_collected() -> None:
    class Answer(list[bytes]):
        def close(self) -> None:
            pass

    gate = RequestsInFlight(lambda *_: Answer([b"x"]), Settings(requests_at_once=1))
    gc.disable()
    try:
        answer = gate(create_environ(), lambda *_: lambda _: None)
        held = weakref.ref(answer)
        for _ in range(2):
            answer.close()  # type: ignore[attr-defined]
        del answer
        assert held() is None
        assert gate(create_environ(), lambda *_: lambda _: None), "and its place is free again"
    finally:
        gc.enable()


def test_asking_for_readiness_without_end_looks_but_now_and_then(new_server: NewServer) -> None:
    server = new_server()
    looks = 0
    folder = server.uploads
    before = folder.stat().st_mtime_ns
    for _ in range(200):
        assert requests.get(f"{server.url}/readyz", timeout=10).ok
        now = folder.stat().st_mtime_ns
        looks, before = looks + (now != before), now
    assert looks < 100


# How many peers with 900 KB each the list has that is read slowly: more than the system takes in by
# itself.
PEERS = int(os.environ.get("PRESENCE_TEST_LISTED_PEERS", "10"))
SIZE = 900_000


def resident(server: LiveServer) -> int:
    """Return how much memory the worker takes, in bytes, as its figures say."""
    figures = requests.get(f"{server.url}/metrics", timeout=20).text
    found = re.search(r"^process_resident_memory_bytes (\S+)", figures, re.MULTILINE)
    assert found
    return int(float(found[1]))


def test_slow_readers_of_lists_take_so_much_memory_and_give_it_back(new_server: NewServer) -> None:
    allowed = 4
    server = new_server(
        PRESENCE_MAX_PEERS=PEERS,
        PRESENCE_MAX_KEPT_PEERS=0,
        PRESENCE_MAX_ANSWER_BYTES=int((allowed - 0.5) * PEERS * SIZE),
        PRESENCE_MAX_USER_DATA_BYTES=SIZE + 1000,
        PRESENCE_REST_SESSION_SECONDS=600,
    )
    rooms = f"{server.url}/api/webrtc/rooms"
    with requests.Session() as session:
        for number in range(PEERS):
            peer = {"peer_id": str(number), "username": "x", "user_data": {"x": "y" * SIZE}}
            # The answer has the whole list, which would take longer to read than to make.
            with session.post(f"{rooms}/r/join", json=peer, timeout=60, stream=True) as answer:
                assert answer.ok
    before = resident(server)
    readers, refused = [], 0
    for number in range(12):
        update = {"user_data": {"n": number}}
        assert requests.post(f"{rooms}/r/update-data?peer_id=0", json=update, timeout=60).ok
        reader = Stream(server, timeout=60, receive_buffer=4096)
        reader.send("GET /api/webrtc/rooms HTTP/1.1\r\nHost: x\r\n\r\n")
        head = reader.read(12)
        if head.endswith(b"503"):
            refused += 1
            reader.close()
        else:
            assert head.endswith(b"200")
            readers.append(reader)
    assert len(readers) == allowed
    assert refused == 12 - allowed
    assert requests.get(f"{rooms}/r/peers/0", timeout=20).ok, "the others are served"
    for reader in readers:
        reader.close()
    eventually(lambda: resident(server) < 1.2 * before, "memory is given back", 30, interval=0.5)
    eventually(lambda: requests.get(rooms, timeout=60).ok, "lists are sent again", 30)
