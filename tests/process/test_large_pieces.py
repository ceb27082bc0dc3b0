"""A body is what was sent, however it arrives and however it is read."""

from __future__ import annotations

import random

import pytest
from gunicorn.config import Config
from gunicorn.http.unreader import SocketUnreader

from presence.transport.serving.large_pieces import BODY_BYTES, LargePieces
from presence.transport.serving.request_heads import Request

NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
SIZES = [0, 1, 1024, 8192, BODY_BYTES, 3 * BODY_BYTES + 7]


class Line:
    """A connection on which this has been sent, and arrives in packets of so many bytes."""

    def __init__(self, sent: bytes, packet: int) -> None:
        self._sent = sent
        self._packet = packet

    def recv(self, size: int) -> bytes:
        size = min(size, self._packet)
        arrived, self._sent = self._sent[:size], self._sent[size:]
        return arrived


def request_on(unreader: SocketUnreader, number: int = 1) -> Request:
    return Request(Config(), unreader, ("127.0.0.1", 1), number)


@pytest.mark.parametrize("seed", range(60))
def test_a_body_is_read_as_it_was_sent_and_the_next_request_follows(seed: int) -> None:
    chance = random.Random(seed)
    body = chance.randbytes(chance.choice(SIZES))
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    unreader = SocketUnreader(Line(head + body + NEXT, chance.choice([100, 5000, 200_000])))
    request = request_on(unreader)
    assert isinstance(request.body, LargePieces)
    read = b""
    while len(read) < len(body):
        size = chance.choice([1, 700, 1024, BODY_BYTES, 100_000])
        if chance.random() < 0.3:
            line = request.body.readline(size)
            assert line == (body[len(read) :].split(b"\n")[0] + b"\n")[: min(size, len(line))]
            read += line
        else:
            piece = request.body.read(size)
            assert piece == body[len(read) : len(read) + size]
            read += piece
    assert request.body.read() == b""
    assert request_on(unreader, 2).path == "/next"


def test_what_ends_before_its_length_is_returned_as_far_as_it_came() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    body = request_on(SocketUnreader(Line(head + b"x" * 70_000, 8192))).body
    assert body.read(90_000) == b"x" * 70_000
    assert body.read(10) == b""
