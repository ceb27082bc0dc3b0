"""What begins unlike any request of HTTP/1.1 is answered with a sentence by either worker."""

from __future__ import annotations

import json

import pytest

from local_cluster.live_server import LiveServer
from tests.support.streams import Stream

HEADS: dict[str, tuple[bytes, str]] = {
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "it is TLS (https)"),
    "PROXY": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", "PROXY protocol"),
    "PROXY 2": (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", "PROXY protocol, version 2"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "it is HTTP/2"),
    "another version": (b"GET / HTTP/3.7\r\nHost: x\r\n\r\n", "(3, 7)"),
    "no method": (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", "get"),
    "no request": (b"EHLO mail.example.org\r\n\r\n", "malformed"),
    "no header": (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", "Host x"),
    "two lengths": (
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "CONTENT-LENGTH",
    ),
    "folded": (b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", "malformed"),
}


@pytest.mark.parametrize("started", ["gunicorn", "gunicorn on threads"], indirect=True)
def test_it_is_answered_with_what_it_was_taken_for(started: LiveServer) -> None:
    for what, (sent, said) in HEADS.items():
        stream = Stream(started, timeout=10).send(sent)
        stream.shut_down()
        status, body = stream.answer()
        told = json.loads(body)
        assert (status, told["code"]) == (400, "bad_request"), what
        assert said in told["detail"], (what, told)
        assert stream.read_to_end() == b"", what
    assert "Traceback" not in started.log_text()
