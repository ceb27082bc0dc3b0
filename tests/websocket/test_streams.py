"""WebSockets of a live server on eventlet: handshake, frames, closing, compression and TLS."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import websocket as client_library

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.transport.websocket import protocol
from tests.support import needs
from tests.support.clients import hears, shows
from tests.websocket.frames import client_frame

NewServer = Callable[..., LiveServer]
Connect = Callable[..., Any]

JOIN = '42["join_room",{"room_name":"%s","peer_id":"%s","username":"A"}]'


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A server on eventlet, shared by the tests of this file."""
    server = LiveServer(tmp_path_factory.mktemp("streams")).start()
    yield server
    server.kill()


class Wire:
    """A connection on which a test writes frames of its own making."""

    def __init__(self, server: LiveServer, query: str = "", headers: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self._read = b""
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: x\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n{headers}\r\n"
        )
        self.socket.sendall(request.encode())
        while b"\r\n\r\n" not in self._read:
            self._read += self.socket.recv(1)
        self.head, self._read = self._read.decode(), b""

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def frame(self) -> tuple[int, bytes] | None:
        """Return the next frame's first byte and payload; None at the end of the connection."""
        try:
            head = self._take(2)
            size = head[1]
            if size == 126:
                (size,) = struct.unpack("!H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._take(8))
            return head[0], self._take(size)
        except EOFError:
            return None

    def text(self) -> str:
        """Return the next text that is no ping of Engine.IO, and answer those."""
        while True:
            frame = self.frame()
            assert frame is not None, "the server closed the connection"
            assert frame[0] == 0x81, frame
            if frame[1] != b"2":
                return frame[1].decode()
            self.send(client_frame("3"))

    def end(self) -> tuple[int, str]:
        """Return the code and reason of the server's close frame, after which nothing may come."""
        while (frame := self.frame()) is not None and frame[0] != 0x88:
            pass
        assert frame is not None, "there was no close frame"
        assert self.frame() is None
        code = int.from_bytes(frame[1][:2], "big")
        return code, frame[1][2:].decode()

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise EOFError
            data += more
        return data


@pytest.fixture
def wire(live: LiveServer) -> Generator[Wire]:
    """A connection that has been through the handshakes of WebSocket, Engine.IO and Socket.IO."""
    made = Wire(live)
    assert made.text().startswith("0{")
    made.send(client_frame("40"))
    assert made.text().startswith("40{")
    yield made
    made.socket.close()


def test_many_messages_in_one_packet_are_answered_in_their_order(wire: Wire) -> None:
    wire.send(*(client_frame(f'42{n}["leave_room"]') for n in range(500)))
    acks = [text for text in (wire.text() for _ in range(1000)) if text.startswith("43")]
    assert [text[2 : text.index("[")] for text in acks] == [str(n) for n in range(500)]


def test_a_message_byte_by_byte_and_in_fragments_is_one_message(wire: Wire) -> None:
    text = '421["leave_room"]'
    for at in range(len(data := client_frame(text))):
        wire.send(data[at : at + 1])
    assert "not_joined" in wire.text()
    assert wire.text().startswith("431")
    wire.send(
        client_frame(text[:5], final=False),
        client_frame(b"", protocol.PING),
        client_frame(text[5:], protocol.CONTINUATION),
    )
    assert wire.frame() == (0x8A, b"")
    assert "not_joined" in wire.text()


def test_a_ping_is_answered_with_what_it_carries(wire: Wire) -> None:
    wire.send(client_frame(bytes(range(125)), protocol.PING))
    assert wire.frame() == (0x8A, bytes(range(125)))


def test_pings_whose_sender_does_not_read_are_answered_within_bounds(
    live: LiveServer, wire: Wire
) -> None:
    before = live.memory()
    ping = client_frame(bytes(125), protocol.PING) * 1000
    wire.socket.settimeout(0.5)
    # The kernel's buffers fill up if the server stops reading; it may also read all of it.
    with contextlib.suppress(TimeoutError):
        for _ in range(300):
            wire.send(ping)
    assert live.memory() - before < 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame("x", masked=False), 1002),
        (client_frame("x", reserved=4), 1002),
        (client_frame("x", 3), 1002),
        (client_frame(b"\xff"), 1007),
        (client_frame(b"", size=1_000_001), 1009),
        (client_frame("4" * 600_000, final=False) + client_frame("4" * 600_000, 0), 1009),
        (client_frame(b"\x03\xed", protocol.CLOSE), 1002),
    ],
)
def test_who_breaks_the_protocol_is_told_how_and_disconnected(
    live: LiveServer, wire: Wire, data: bytes, code: int
) -> None:
    wire.send(data)
    ended, reason = wire.end()
    assert ended == code
    assert reason
    assert "Traceback" not in live.log_text()


@pytest.mark.parametrize(
    ("payload", "answer"),
    [(b"", b""), (b"\x03\xe8", b"\x03\xe8"), (b"\x0f\xa0bye", b"\x0f\xa0")],
)
def test_a_close_is_answered_with_its_code(wire: Wire, payload: bytes, answer: bytes) -> None:
    wire.send(client_frame('421["leave_room"]'), client_frame(payload, protocol.CLOSE))
    assert "not_joined" in wire.text()
    assert wire.text().startswith("431")
    assert wire.frame() == (0x88, answer)
    assert wire.frame() is None


def test_the_end_of_a_connection_is_noticed_however_it_comes(
    live: LiveServer, connect: Connect, room: str
) -> None:
    watcher = connect(live)
    watcher.call("join_room", {"room_name": room, "peer_id": "w", "username": "W"})
    for number in range(4):
        wire = Wire(live)
        wire.send(client_frame("40"), client_frame(JOIN % (room, f"p{number}")))
        shows(watcher, f"p{number}", is_active=True)
        if number == 0:
            wire.send(client_frame(b"", protocol.CLOSE))
        elif number == 1:
            wire.send(client_frame("x", 3))
        elif number == 2:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.socket.close()
        shows(watcher, f"p{number}", is_active=False)
    assert "socket shutdown error" not in live.log_text()
    assert "Traceback" not in live.log_text()


def test_a_websocket_with_a_bad_handshake_is_refused_and_leaves_nothing(live: LiveServer) -> None:
    for headers in ("Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Key: x\r\n"):
        wire = Wire(live, headers=headers)
        assert wire.head.split()[1] in {"400", "426"}
        wire.socket.close()
    wire = Wire(live, query="&sid=unknown")
    assert wire.head.split()[1] == "400"
    wire.socket.close()


def test_a_list_for_many_sockets_is_whole_for_one_that_reads_it_late(
    live: LiveServer, connect: Connect, room: str
) -> None:
    wire = Wire(live)
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    wire.send(client_frame("40"), client_frame(JOIN % (room, "late")))
    writer = connect(live)
    writer.call("join_room", {"room_name": room, "peer_id": "w", "username": "W"})
    for number in range(40):
        data = {"x": f"{number:04}" * 3900}
        assert writer.call("update_user_data", {"user_data": data})["ok"]
    last = 0
    while last < 39:
        text = wire.text()
        if text.startswith('42["peer_list_updated"'):
            for peer in json.loads(text[2:])[1]["peers"]:
                last = max(last, int(peer["user_data"].get("x", "0")[:4]))
    wire.socket.close()


def test_compression_is_used_when_the_setting_asks_for_it(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server(PRESENCE_WEBSOCKET_COMPRESSION="true")
    browser_like = connect(server, "javascript", ["websocket"])
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    wire = Wire(server, headers=offer)
    assert "server_no_context_takeover; client_no_context_takeover" in wire.head
    wire.send(client_frame("40"))
    message = json.dumps({"user_data": {"x": "abc" * 4000}})
    joined = JOIN % ("r", "a")
    packed = protocol.frame(joined.encode(), compress=True)[2:]
    wire.send(client_frame(packed, reserved=4))
    browser_like.call("join_room", {"room_name": "r", "peer_id": "js", "username": "J"})
    assert browser_like.call("update_user_data", json.loads(message))["ok"]
    shown = hears(
        browser_like,
        "peer_list_updated",
        lambda body: any(len(peer["user_data"]) for peer in body["peers"]),
    )
    assert shown["active_peers"] == 2
    while (frame := wire.frame()) is not None and frame[0] != 0xC1:
        assert frame[0] == 0x81
        assert len(frame[1]) < 4000
    assert frame is not None
    wire.socket.close()


def test_no_compression_is_agreed_on_without_the_setting(live: LiveServer) -> None:
    wire = Wire(live, headers="Sec-WebSocket-Extensions: permessage-deflate\r\n")
    assert "permessage-deflate" not in wire.head
    wire.socket.close()


def test_a_websocket_opened_for_an_upgrade_may_do_nothing_else(
    live: LiveServer, connect: Connect, room: str
) -> None:
    poller = connect(live, "python", ["polling"])
    poller.call("join_room", {"room_name": room, "peer_id": "p", "username": "P"})
    query = f"&sid={poller._sio.eio.sid}"
    for first in ('42["leave_room"]', "5", "3", "x", ""):
        wire = Wire(live, query=query)
        wire.send(client_frame(first))
        assert wire.end()[0] == 1002
        wire.socket.close()
    wire = Wire(live, query=query)
    second = Wire(live, query=query)
    assert second.head.split()[1] == "400"
    wire.send(client_frame("2probe"))
    assert wire.text() == "3probe"
    wire.socket.close()
    assert poller.call("update_user_data", {"user_data": {"still": "polling"}})["ok"]


def test_gunicorn_serves_it_over_tls(tmp_path: Path) -> None:
    subprocess.run(
        [
            needs.program("openssl"),
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    server = LiveServer(tmp_path)
    server._command = [
        *server._command,
        f"--certfile={tmp_path / 'cert.pem'}",
        f"--keyfile={tmp_path / 'key.pem'}",
    ]
    server._answers = lambda: "Presence is ready" in server.log_text()  # type: ignore[method-assign]
    server.start()
    try:
        ws = client_library.create_connection(
            f"wss://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket",
            sslopt={"cert_reqs": ssl.CERT_NONE},
            timeout=10,
        )
        assert str(ws.recv()).startswith("0{")
        ws.send("40")
        assert str(ws.recv()).startswith("40{")
        for number in range(200):
            ws.send(f'42{number}["signal",{{"to":"x","data":"{"é" * 20_000}"}}]')
        acks = 0
        while acks < 200:
            acks += str(ws.recv()).startswith("43")
        ws.close()
        eventually(lambda: "Traceback" not in server.log_text(), "nothing went wrong")
        assert server.stop() == 0
    finally:
        server.kill()
