"""Who is served when: connections that ask for little come before one that asks for much."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Generator

import eventlet
import pytest

from presence.transport.websocket.protocol import Reader, frame
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
def pairs() -> Generator[list[tuple[socket.socket, socket.socket]]]:
    """Three connections, each by our end and the other one."""
    made = [socket.socketpair() for _ in range(3)]
    yield made
    for _, theirs in made:
        theirs.close()


@pytest.fixture
def clients(pairs: list[tuple[socket.socket, socket.socket]]) -> list[socket.socket]:
    """The other ends of the connections."""
    return [theirs for _, theirs in pairs]


@pytest.fixture(autouse=True)
def streams(
    desk: Desk, pairs: list[tuple[socket.socket, socket.socket]]
) -> Generator[list[Stream]]:
    """Our ends."""
    turns = Turns()
    for ours, _ in pairs:
        ours.setblocking(False)
    streams = [Stream(turns, ours, Reader(1000), desk) for ours, _ in pairs]
    yield streams
    for stream in streams:
        stream.cut()


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


def test_a_little_is_sent_before_much_and_others_have_their_turn_between(
    desk: Desk,
    streams: list[Stream],
    clients: list[socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if much to one took as long as may be sent at once.
    monkeypatch.setattr("presence.transport.websocket.turns._MUCH_SECONDS", 0.0)
    *many, last = streams
    for stream in many:
        stream.put(frame(b"m" * 10_000))
    last.put(frame(b"little"))
    arrived: list[int] = []

    def have_all() -> bool:
        arrived.extend(
            n for n, client in enumerate(clients) if n not in arrived and has_data(client)
        )
        return len(arrived) == len(clients)

    desk.then = have_all
    clients[-1].sendall(client_frame("a question"))
    eventlet.sleep(0)
    have_all()
    assert arrived == [0, 2], "a little waits for much, or all of it is sent at once"
    desk.wait_until(lambda: bool(desk.handled))
    assert arrived == [0, 2], "the question waited for all that there was to send"
    desk.wait_until(have_all)


def has_data(client: socket.socket) -> bool:
    """Tell whether there is something to read."""
    return bool(select.select([client], [], [], 0)[0])
