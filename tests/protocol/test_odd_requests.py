"""Requests as odd clients and proxies send them: served right, or answered with what to do."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.protocol.wire import UPGRADE
from tests.support.streams import Stream

POLL = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
ROOMS = "/api/webrtc/rooms"
JOIN = f"{ROOMS}/odd/join"
PEER = b'{"peer_id": "a", "username": "A"}'


def head(path: str | bytes, *headers: str, method: str = "GET", host: str = "127.0.0.1") -> bytes:
    target = path if isinstance(path, bytes) else path.encode("latin-1")
    lines = "".join(f"{line}\r\n" for line in (f"Host: {host}", *headers))
    return method.encode() + b" " + target + f" HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def websocket(path: str = WEBSOCKET, **changed: str | None) -> bytes:
    """Return a request for a WebSocket; `changed` has other headers by name, None for none."""
    headers = UPGRADE | {name.replace("_", "-"): value for name, value in changed.items()}
    return head(path, *(f"{name}: {value}" for name, value in headers.items() if value is not None))


def post(path: str, body: bytes, *headers: str) -> bytes:
    return head(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


def chunked(path: str, *pieces: bytes, coding: str = "chunked") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head(path, f"Transfer-Encoding: {coding}", method="POST") + body + b"0\r\n\r\n"


def answer_of(server: LiveServer, sent: bytes, *, has_body: bool = True) -> tuple[int, str]:
    """Return the status and the text of the answer."""
    stream = Stream(server).send(sent)
    lines = stream.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    while lines[0].startswith("HTTP/1.1 100"):
        lines = stream.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    body = stream.read(int(headers.get("content-length", 0))) if has_body else b""
    stream.close()
    return int(lines[0].split()[1]), body.decode()


# What is sent, the status, and something of the text.
SERVED: dict[str, tuple[bytes, int, str]] = {
    "a whole address": (head(f"http://127.0.0.1{ROOMS}"), 200, "{"),
    "a whole address, in capitals": (head(f"HTTP://LOCALHOST:3001{ROOMS}"), 200, "{"),
    "a whole address without a path": (head("http://127.0.0.1"), 200, "<!doctype"),
    "a whole address of a poll": (head(f"http://127.0.0.1{POLL}"), 200, '0{"sid"'),
    "a whole address of a WebSocket": (websocket(f"ws://127.0.0.1{WEBSOCKET}"), 101, ""),
    "a fragment": (head(f"{ROOMS}#x"), 200, "{"),
    "UTF-8 that is not escaped": (head("/api/webrtc/rooms/café".encode()), 404, "“café”"),
    "UTF-8 that is": (head("/api/webrtc/rooms/caf%C3%A9"), 404, "“café”"),
    "no Host": (f"GET {POLL} HTTP/1.1\r\n\r\n".encode(), 200, '0{"sid"'),
    "a Host with a dot": (head(ROOMS, host="localhost."), 200, "{"),
    "several ways to upgrade": (websocket(Upgrade="h2c, websocket"), 101, ""),
    "Upgrade in capitals": (websocket(Upgrade="WebSocket", Connection="UPGRADE"), 101, ""),
    "a connection to be kept": (websocket(Connection="keep-alive, Upgrade"), 101, ""),
    "a connection to be closed": (websocket(Connection="close, Upgrade"), 101, ""),
    "no subprotocol": (websocket(Sec_WebSocket_Protocol=""), 101, ""),
    "headers of other alphabets": (websocket(X_Name="caf\xe9"), 101, ""),
    "bad offers": (websocket(Sec_WebSocket_Extensions="x;;y=,"), 101, ""),
    "an upgrade on every request": (
        head(ROOMS, "Connection: Upgrade", "Upgrade: websocket"),
        200,
        "{",
    ),
    "an upgrade on a poll": (head(POLL, "Connection: Upgrade", "Upgrade: websocket"), 200, "0{"),
    "another upgrade": (head(ROOMS, "Connection: Upgrade", "Upgrade: h2c"), 200, "{"),
    "a body in chunks": (chunked(JOIN, PEER[:9], PEER[9:]), 200, '"success":true'),
    "chunks, not in small letters": (chunked(JOIN, PEER, coding="Chunked"), 200, "success"),
    "100-continue": (post(JOIN, PEER, "Expect: 100-continue"), 200, "success"),
    "JSON with a mark of its order": (post(JOIN, b"\xef\xbb\xbf" + PEER), 200, "success"),
    "JSON as text": (post(JOIN, PEER, "Content-Type: text/plain;charset=UTF-8"), 200, "success"),
    "JSON as a form": (
        post(JOIN, PEER, "Content-Type: application/x-www-form-urlencoded"),
        200,
        "success",
    ),
    "a part of JSON": (head(ROOMS, "Range: bytes=0-1"), 200, "{"),
    "a part of a file": (head("/static/css/base.css", "Range: bytes=0-3"), 206, "/* T"),
}
REFUSED: dict[str, tuple[bytes, int, str]] = {
    **{
        f"not UTF-8: {bad}": (head(f"{ROOMS}/{bad}"), 400, "not in UTF-8")
        for bad in ("caf%E9", "%C0%AF", "%F4%90%80%80", "%ED%A0%BD", "%FF", "caf\xe9")
    },
    "a query that is not UTF-8": (head(b"/rooms?name=caf\xe9"), 400, "not in UTF-8"),
    "no query": (head("/socket.io/"), 400, "none (transport)"),
    "a query with semicolons": (head("/socket.io/?EIO=4;transport=polling"), 400, "transport"),
    "another way to poll": (head(POLL, method="PUT"), 400, "polling by PUT"),
    "a WebSocket of a page": (websocket("/"), 404, "/socket.io/?EIO=4"),
    "a WebSocket of REST": (websocket(ROOMS), 404, "/socket.io/?EIO=4"),
    "a WebSocket nowhere": (websocket("/ws"), 404, "/socket.io/?EIO=4"),
    "two keys": (websocket(Sec_WebSocket_Key="A, B"), 400, "Sec-WebSocket-Key"),
    "two versions": (websocket(Sec_WebSocket_Version="8, 13"), 426, "Sec-WebSocket-Version: 13"),
    "a compressed body": (
        post(JOIN, gzip.compress(PEER), "Content-Encoding: gzip"),
        415,
        "“gzip” (Content-Encoding)",
    ),
    "a compressed poll": (
        post(f"{POLL}&sid=x", gzip.compress(b"40"), "Content-Encoding: br"),
        415,
        "“br” (Content-Encoding)",
    ),
    "a form": (post(JOIN, b"peer_id=a&username=A"), 400, "application/json"),
}


def test_what_is_odd_is_served_or_told_what_to_do(started: LiveServer) -> None:
    for name, (sent, status, text) in (SERVED | REFUSED).items():
        answered, body = answer_of(started, sent, has_body=status != 101)
        assert (answered, text in body) == (status, True), (name, answered, body[:300])
        if status >= 400:
            assert json.loads(body)["detail"].endswith("."), name
    assert "Traceback" not in started.log_text()


# The server of `flask run` ends every connection after one answer.
@pytest.mark.parametrize("started", ["gunicorn", "gunicorn on threads", "app.py"], indirect=True)
def test_an_answer_to_head_is_followed_by_the_next_one(started: LiveServer) -> None:
    for path in ("/", ROOMS, "/healthz", POLL, f"{POLL}&sid=x", f"{ROOMS}/%E9", "/x/api/y", "/ws"):
        stream = Stream(started).send(head(path, method="HEAD"))
        assert stream.read_until(b"\r\n\r\n").startswith(b"HTTP/1."), path
        stream.send(head("/healthz", "Connection: close"))
        # Nothing, where the server closes the connection after what it has refused.
        assert stream.read(7) in (b"", b"HTTP/1."), path
        stream.close()


BY_GUNICORN: dict[str, tuple[bytes, int, str]] = {
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, 400, "TLS (https)"),
    "the PROXY protocol": (
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + head("/"),
        400,
        "PROXY protocol",
    ),
    "its version 2": (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\1" * 12 + head("/"),
        400,
        "PROXY protocol, version 2",
    ),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9, 400, "HTTP/2"),
    "a method in small letters": (head("/", method="get"), 400, "method"),
    "two lengths": (post(JOIN, PEER, f"Content-Length: {len(PEER)}"), 400, "CONTENT-LENGTH"),
    "an expectation": (post(JOIN, PEER, "Expect: a lot"), 400, "expectation"),
    "a folded header": (head("/", "X: a\r\n b"), 400, "folding"),
    "line ends before": (b"\r\n\r\n" + head(ROOMS), 200, "{"),
    "lines that end with LF": (f"GET {ROOMS} HTTP/1.1\nHost: x\n\n".encode(), 408, "CR and LF"),
    "no end of the head": (f"GET {ROOMS} HTTP/1.1\r\nHost: x\r\n".encode(), 408, "empty line"),
}


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("odd"), PRESENCE_READ_SECONDS=1).start()
    yield live
    live.kill()


def test_what_is_no_request_is_told_what_it_is(gunicorn: LiveServer) -> None:
    for name, (sent, status, text) in BY_GUNICORN.items():
        began = time.monotonic()
        answered, body = answer_of(gunicorn, sent)
        assert (answered, text in body) == (status, True), (name, answered, body[:300])
        assert time.monotonic() - began < 10, name
        if status >= 400:
            assert json.loads(body)["detail"].endswith("."), name
    assert "TLS (https)" in gunicorn.log_text()
    assert "Traceback" not in gunicorn.log_text()
    assert requests.get(gunicorn.url + ROOMS, timeout=10).ok
