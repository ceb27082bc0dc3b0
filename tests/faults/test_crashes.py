"""Crashes in the middle of writes: what was acknowledged is there, and nothing else is left over.

`PRESENCE_TEST_ROUNDS` is the number of crashes of each campaign (20 for a full one).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
import websocket

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.raw_socket import RawSocket

Connect = Callable[..., Any]
NewServer = Callable[..., LiveServer]

# The promise, for clients that come back by themselves.
BACK_WITHIN = 5.0
KEYS = 40  # the last so many writes of every peer are looked at


class Crashed(Exception):
    """The server was killed before it answered."""


class Writer:
    """A client that writes until the server crashes, and knows what it was promised."""

    def __init__(self, server: LiveServer, name: str) -> None:
        self.server = server
        self.name = name
        self.acknowledged = 0
        self.version = 0  # the highest that was acknowledged
        self.failure: BaseException | None = None
        self._steps = itertools.count(1)

    def run(self) -> None:
        """Write until the crash; keep whatever else happens."""
        try:
            self.begin()
            while True:
                self.step(next(self._steps))
                self.acknowledged += 1
        except Crashed:
            pass
        except BaseException as failure:
            self.failure = failure

    def begin(self) -> None:
        """Join anew."""
        raise NotImplementedError

    def step(self, number: int) -> None:
        """Write once; raises `Crashed`."""
        raise NotImplementedError

    def check(self, room: dict[str, Any], stored: dict[str, bytes]) -> None:
        """Compare what is there after the crash with what was acknowledged."""
        raise NotImplementedError

    def ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        url = f"{self.server.url}/api/webrtc{path}"
        try:
            response = requests.request(method, url, timeout=30, **arguments)
            body: dict[str, Any] = response.json()
        except requests.RequestException:
            raise Crashed from None
        assert response.status_code == 200, body
        self.version = max(self.version, body["version"])
        return body

    def join(self, peer_id: str) -> None:
        self.ask("POST", "/rooms/r/join", json={"peer_id": peer_id, "username": peer_id})

    def upload(self, peer_id: str, content: bytes) -> str:
        body = self.ask(
            "POST",
            "/upload",
            files={"file": ("a.txt", content)},
            data={"room_name": "r", "peer_id": peer_id},
        )
        return str(body["filename"])


class DataWriter(Writer):
    """Changes one key after the other of its peer's data, over REST."""

    def __init__(self, server: LiveServer, name: str) -> None:
        super().__init__(server, name)
        self.data: dict[str, int] = {}
        self.unsure: dict[str, int] = {}
        self.joined = False

    def begin(self) -> None:
        self.join(self.name)
        self.joined = True

    def step(self, number: int) -> None:
        change = {f"k{number % KEYS}": number}
        self.unsure = change
        self.write(change)
        self.data |= change
        self.unsure = {}

    def write(self, change: dict[str, int]) -> None:
        path = f"/rooms/r/update-data?peer_id={self.name}"
        self.ask("POST", path, json={"user_data": change})

    def check(self, room: dict[str, Any], stored: dict[str, bytes]) -> None:
        found = [peer["user_data"] for peer in room["peers"] if peer["peer_id"] == self.name]
        if not self.joined and not found:
            return
        assert found in ([self.data], [self.data | self.unsure])
        (self.data,) = found
        self.unsure = {}


class SocketWriter(DataWriter):
    """The same over a WebSocket."""

    def begin(self) -> None:
        try:
            self.socket = RawSocket(self.server)
        except (OSError, websocket.WebSocketException, AssertionError):
            raise Crashed from None
        message = {"room_name": "r", "peer_id": self.name, "username": self.name}
        self.event("join_room", message)
        self.joined = True

    def write(self, change: dict[str, int]) -> None:
        self.event("update_user_data", {"user_data": change})

    def event(self, name: str, body: dict[str, Any]) -> None:
        try:
            self.socket.send(f"427{json.dumps([name, body])}")
            while not (text := self.socket.receive()).startswith("437"):
                if not text:
                    raise Crashed
        except (OSError, websocket.WebSocketException):
            raise Crashed from None
        (answer,) = json.loads(text[3:])
        assert answer["ok"], answer
        self.version = max(self.version, answer["version"])


class FileWriter(Writer):
    """Uploads files and deletes every second one again."""

    def __init__(self, server: LiveServer, name: str) -> None:
        super().__init__(server, name)
        self.random = random.Random(name)
        self.kept: dict[str, bytes] = {}  # what is stored for sure, by name
        self.gone: set[str] = set()
        self.unsure: set[str] = set()  # is being deleted
        self.attempt = b""  # is being uploaded

    def begin(self) -> None:
        self.join(self.name)

    def step(self, number: int) -> None:
        content = f"{self.name} {number} ".encode() * self.random.randrange(1, 30_000)
        self.attempt = hashlib.sha256(content).digest()
        self.kept[self.upload(self.name, content)] = self.attempt
        self.attempt = b""
        if number % 2:
            (name, _digest) = self.random.choice(list(self.kept.items()))
            self.unsure = {name}
            self.ask("DELETE", f"/rooms/r/files/{name}")
            self.unsure = set()
            del self.kept[name]
            self.gone.add(name)

    def check(self, room: dict[str, Any], stored: dict[str, bytes]) -> None:
        (mine,) = [peer for peer in room["peers"] if peer["peer_id"] == self.name] or [
            {"uploaded_files": []}
        ]
        found = {name.removeprefix("uploads/") for name in mine["uploaded_files"]}
        assert self.kept.keys() - self.unsure <= found
        assert not found & self.gone
        new = found - self.kept.keys()
        assert [stored[name] for name in new] in ([], [self.attempt])
        self.kept = {name: self.kept.get(name, self.attempt) for name in found}
        assert {name: stored[name] for name in found} == self.kept
        self.attempt, self.unsure = b"", set()


class Eraser(Writer):
    """Makes peers with a file, and erases them."""

    def __init__(self, server: LiveServer, name: str) -> None:
        super().__init__(server, name)
        self.erased: set[str] = set()

    def begin(self) -> None:
        pass

    def step(self, number: int) -> None:
        peer_id = f"{self.name}-{number}"
        self.join(peer_id)
        self.upload(peer_id, f"{peer_id} ".encode() * 5_000)
        self.ask("DELETE", f"/rooms/r/peers/{peer_id}")
        self.erased.add(peer_id)

    def check(self, room: dict[str, Any], stored: dict[str, bytes]) -> None:
        assert not self.erased & {peer["peer_id"] for peer in room["peers"]}


def room_of(server: LiveServer) -> dict[str, Any]:
    body: dict[str, Any] = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()
    return body


def write_until_the_crash(server: LiveServer, writers: list[Writer], writes: int) -> None:
    before = sum(writer.acknowledged for writer in writers)
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        eventually(
            lambda: (
                (
                    sum(writer.acknowledged for writer in writers) - before >= writes
                    # The first files wait until the processes that check them have started.
                    and all(writer.acknowledged for writer in writers)
                )
                or any(writer.failure for writer in writers)
            ),
            f"{writes} writes are acknowledged",
            60,
        )
    finally:
        server.kill()
        for thread in threads:
            thread.join(60)
    for writer in writers:
        if writer.failure is not None:
            raise writer.failure


def check_the_files(server: LiveServer) -> dict[str, bytes]:
    """Compare files and rows; return what the files hold, hashed, by name."""
    database = sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = dict(database.execute("SELECT stored_name, size FROM files").fetchall())
    finally:
        database.close()
    assert server.stored_files() == sorted(rows), "every file has its row, and none is pending"
    contents = {name: (server.uploads / name).read_bytes() for name in rows}
    assert {name: len(content) for name, content in contents.items()} == rows
    return {name: hashlib.sha256(content).digest() for name, content in contents.items()}


@pytest.mark.parametrize(
    ("mode", "crashes"),
    [
        (mode, int(os.environ.get("PRESENCE_TEST_ROUNDS", default)))
        for mode, default in (("eventlet", "2"), ("threading", "1"))
    ],
)
@pytest.mark.timeout(1200)
def test_a_crash_under_writes_loses_nothing_acknowledged_and_leaves_nothing_behind(
    new_server: NewServer, connect: Connect, mode: str, crashes: int
) -> None:
    server = new_server(mode)
    clients = {}
    for name, transports in (("js-socket", ["websocket"]), ("js-poll", ["polling"]), ("js", None)):
        clients[name] = connect(server, "javascript", transports)
        message = {"room_name": "r", "peer_id": name, "username": name}
        assert clients[name].call("join_room", message)["ok"]
    writers: list[Writer] = [
        *(DataWriter(server, f"data-{number}") for number in range(8)),
        *(SocketWriter(server, f"socket-{number}") for number in range(6)),
        *(FileWriter(server, f"file-{number}") for number in range(4)),
        *(Eraser(server, f"eraser-{number}") for number in range(2)),
    ]
    chance = random.Random(5)
    slowest = 0.0
    for _ in range(crashes):
        write_until_the_crash(server, writers, chance.randrange(100, 400))
        server.start()
        answered = time.monotonic()

        def only_the_clients_are_active() -> bool:
            peers = room_of(server)["peers"]
            return {peer["peer_id"] for peer in peers if peer["is_active"]} == clients.keys()

        eventually(only_the_clients_are_active, "they are back, and no ghosts are", BACK_WITHIN)
        slowest = max(slowest, time.monotonic() - answered)
        room = room_of(server)
        stored = check_the_files(server)
        for writer in writers:
            assert room["version"] >= writer.version
            writer.check(room, stored)
        assert {
            peer["peer_id"]: peer["session_count"] for peer in room["peers"] if peer["is_active"]
        } == dict.fromkeys(clients, 1)
    assert all(writer.acknowledged for writer in writers)
    print(
        f"{mode}: {crashes} crashes, {sum(writer.acknowledged for writer in writers)} writes "
        f"acknowledged, clients back after {slowest:.2f} s at the latest"
    )
