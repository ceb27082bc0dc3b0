"""Who is served when: connections that ask for little come before one that asks for much."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Generator

import eventlet
import pytest

from presence.transport.websocket.protocol import Reader
from presence.transport.websocket.streams import Stream
from presence.transport.websocket.turns import Turns
from tests.websocket.frames import client_frame

MESSAGE_SECONDS = 0.0003


class Desk:
    """Where messages are handled one after the other, each for a while."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.then: Callable[[], object] = lambda: None

    def on_message(self, message: str | bytes) -> None:
        """Take some of everybody's time."""
        until = time.perf_counter() + MESSAGE_SECONDS
        while time.perf_counter() < until:
            pass
        self.handled.append(str(message))
        self.then()

    def on_progress(self) -> None:
        """Note nothing."""

    def on_end(self) -> None:
        """Note nothing."""

    def wait_until(self, is_done: Callable[[], bool]) -> None:
        """Let the hub serve until something has been handled."""
        with eventlet.Timeout(10):
            while not is_done():
                eventlet.sleep(0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def clients(desk: Desk) -> Generator[list[socket.socket]]:
    """The other ends of three connections."""
    turns, pairs = Turns(), [socket.socketpair() for _ in range(3)]
    for ours, _ in pairs:
        ours.setblocking(False)
    streams = [Stream(turns, ours, Reader(1000), desk) for ours, _ in pairs]
    yield [theirs for _, theirs in pairs]
    for stream in streams:
        stream.cut()
    for _, theirs in pairs:
        theirs.close()


def test_whoever_comes_while_another_floods_is_served_next(
    desk: Desk, clients: list[socket.socket]
) -> None:
    flooding, late, later = clients

    def come() -> None:
        if len(desk.handled) == 50:
            late.sendall(client_frame("late"))
            later.sendall(client_frame("later"))

    desk.then = come
    flooding.sendall(client_frame("much") * 200)
    desk.wait_until(lambda: len(desk.handled) == 202)
    # No more than the share of a turn that the flood is having just then comes before them.
    assert max(desk.handled.index("late"), desk.handled.index("later")) < 50 + 5


def test_a_flood_goes_on_beside_others_that_never_pause(
    desk: Desk, clients: list[socket.socket]
) -> None:
    flooding, *others = clients

    def ask_again() -> None:
        if desk.handled[-1] != "much":
            others[int(desk.handled[-1])].sendall(client_frame(desk.handled[-1]) * 10)

    desk.then = ask_again
    for number, client in enumerate(others):
        client.sendall(client_frame(str(number)))
    flooding.sendall(client_frame("much") * 20)
    desk.wait_until(lambda: desk.handled.count("much") == 20)
    assert {"0", "1"} < set(desk.handled)
    desk.then = lambda: None
