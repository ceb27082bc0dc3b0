"""Whoever sends what is no packet is told so by the close of its WebSocket, and so is the log."""

from __future__ import annotations

import struct

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.streams import BINARY, CLOSE, TEXT, WebSocketStream, frame

# What is sent once a socket is connected, and something of what is said to it.
FAULTY: dict[str, tuple[int, bytes, str]] = {
    "a ping of the client, as of old": (TEXT, b"2", "the type 2"),
    "a probe where there is nothing to change": (TEXT, b"2probe", "the type 2"),
    "an opening": (TEXT, b"0{}", "the type 0"),
    "nothing to be done": (TEXT, b"6", "the type 6"),
    "a type that there is not": (TEXT, b"7", "the type 7"),
    "JSON alone": (TEXT, b'{"event":"join_room"}', "'{'"),
    "letters": (TEXT, b"hello", "'h'"),
    "nothing": (TEXT, b"", "empty packet"),
    "an empty message": (TEXT, b"4", "empty packet"),
    "a mark of the order of bytes": (TEXT, b'\xef\xbb\xbf42["sync",{}]', "invalid literal"),
    "a text as binary data": (BINARY, b'42["sync",{}]', "no event announced"),
    "an event without a name": (TEXT, b'42{"a":1}', "needs a name"),
    "the refusal of a connection": (TEXT, b'44"no"', "CONNECT_ERROR"),
}


@pytest.mark.parametrize("name", [*FAULTY])
def test_a_client_and_the_log_are_told_what_was_wrong(server: LiveServer, name: str) -> None:
    opcode, sent, says = FAULTY[name]
    socket = WebSocketStream(server)
    socket.send(frame(opcode, sent))
    while (message := socket.message())[0] != CLOSE:
        pass
    code = struct.unpack("!H", message[1][:2])[0]
    assert (code, says in message[1][2:].decode()) == (1002, True), message
    eventually(lambda: says in server.log_text(), "the log says it too")
