"""The switchboard by itself, with a clock and connections of the test's making."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app import create_app
from presence.config import Settings
from presence.errors import PeerUnreachable
from presence.storage import database, schema
from presence.transport.events import signals
from presence.transport.live.channels import channel
from presence.transport.live.switchboard import HoldLimits, Outcome, Seat, Sender, Switchboard
from presence.transport.process.runtime import Runtime

ROOM = "studio"


class Exchange:
    """A switchboard whose time and connections stand still until told otherwise."""

    def __init__(self, seconds: float = 10, per_peer: int = 3, total_bytes: int = 1000) -> None:
        self.now = 0.0
        self.dead: set[str] = set()
        self.sweeps = 0
        self.board = Switchboard(
            HoldLimits(seconds, per_peer, total_bytes),
            lambda sid: sid not in self.dead,
            self._sweep_soon,
            lambda: self.now,
        )
        self.board.enter("alice", ROOM, "Alice")

    def _sweep_soon(self) -> None:
        self.sweeps += 1

    def send(self, data: Any = 1, to_session: str | None = None, size: int = 1) -> Outcome:
        body = {"type": None, "data": data}
        return self.board.route(Sender("alice", ROOM), "Bob", to_session, body, size)

    def arrive(self, sid: str) -> list[Any]:
        """Let Bob come (back) as a socket; return what had waited for him."""
        self.board.enter(sid, ROOM, "Bob")
        return self.take(sid)

    def take(self, sid: str) -> list[Any]:
        taken = []
        while (held := self.board.next_waiting(sid)) is not None:
            taken.append(held.body["data"])
        return taken

    def is_empty(self) -> bool:
        """Tell whether nothing of Bob is remembered, so that memory cannot grow for ever."""
        return Seat(ROOM, "Bob") not in self.board._lines and not self.board._fading


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def test_nothing_waits_for_somebody_who_was_never_there(exchange: Exchange) -> None:
    assert exchange.send() == Outcome()


def test_what_is_sent_to_a_lost_peer_waits_and_comes_in_order(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.board.lost("bob1")
    assert [exchange.send(number).held is not None for number in (1, 2, 3)] == [True] * 3
    assert exchange.arrive("bob2") == [1, 2, 3]
    assert exchange.send().sid == "bob2"


def test_a_signal_sent_while_others_are_handed_over_queues_behind_them(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.board.lost("bob1")
    exchange.send(1)
    exchange.board.enter("bob2", ROOM, "Bob")
    assert exchange.send(2).held is not None
    assert exchange.take("bob2") == [1, 2]
    assert exchange.send(3).sid == "bob2"


def test_a_socket_that_dies_while_it_arrives_leaves_the_rest_waiting(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.board.lost("bob1")
    exchange.send(1)
    exchange.board.enter("bob2", ROOM, "Bob")
    exchange.dead.add("bob2")
    assert exchange.take("bob2") == []
    exchange.board.lost("bob2")
    assert exchange.arrive("bob3") == [1]


def test_a_socket_that_is_dying_counts_as_lost(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.dead.add("bob1")
    assert exchange.send(1).held is not None
    exchange.board.lost("bob1")
    assert exchange.arrive("bob2") == [1]


def test_another_session_of_the_peer_is_preferred_to_waiting(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.arrive("bob2")
    exchange.board.lost("bob2")
    assert exchange.send().sid == "bob1"
    assert exchange.send(to_session="bob2").held is not None
    assert exchange.send(to_session="bob0") == Outcome()


def test_what_was_for_a_lost_session_goes_to_the_next_that_arrives(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.arrive("bob2")
    exchange.board.lost("bob2")
    exchange.send("for bob2", to_session="bob2")
    assert exchange.take("bob1") == []
    assert exchange.arrive("bob3") == ["for bob2"]


def test_what_was_for_a_lost_session_goes_to_the_first_that_came_after_it(
    exchange: Exchange,
) -> None:
    exchange.arrive("bob1")
    exchange.arrive("bob2")
    exchange.now = 1
    exchange.board.lost("bob2")
    exchange.now = 2
    exchange.arrive("bob3")
    exchange.now = 3
    exchange.arrive("bob4")
    assert exchange.send(to_session="bob2").sid == "bob3"
    assert exchange.send(to_session="bob1").sid == "bob1"
    exchange.now = 11
    exchange.board.sweep()
    assert exchange.send(to_session="bob2") == Outcome()


def test_nothing_waits_for_a_peer_that_left_or_was_lost_too_long_ago(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.board.leave("bob1")
    assert exchange.send() == Outcome()
    assert exchange.is_empty()
    exchange.arrive("bob2")
    exchange.board.lost("bob2")
    exchange.now = 10
    assert exchange.send() == Outcome()


def test_who_came_back_and_then_left_is_not_waited_for_any_more(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.board.lost("bob1")
    exchange.now = 1
    exchange.arrive("bob2")
    exchange.board.leave("bob2")
    assert exchange.send() == Outcome()
    assert exchange.is_empty()


def test_a_session_lost_is_waited_for_although_another_that_was_there_leaves(
    exchange: Exchange,
) -> None:
    exchange.arrive("laptop")
    exchange.now = 1
    exchange.arrive("phone")
    exchange.now = 2
    exchange.board.lost("phone")
    exchange.board.leave("laptop")
    assert exchange.send().held is not None


def test_only_so_many_wait_for_one_peer_and_so_many_bytes_in_all() -> None:
    exchange = Exchange(per_peer=3, total_bytes=10)
    exchange.arrive("bob1")
    exchange.board.lost("bob1")
    assert [exchange.send(size=1).full for _ in range(4)] == [False, False, False, True]
    assert exchange.arrive("bob2") == [1, 1, 1]
    exchange.board.lost("bob2")
    assert [exchange.send(size=5).full for _ in range(3)] == [False, False, True]
    exchange.arrive("bob3")
    exchange.board.lost("bob3")
    # What was handed over makes room again.
    assert not exchange.send(size=10).full


def test_what_waited_too_long_is_swept_out_in_order_and_nothing_is_left(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.board.lost("bob1")
    exchange.send(1)
    exchange.now = 5
    exchange.send(2)
    assert exchange.sweeps == 1
    assert exchange.board.sweep()[0] == []
    exchange.now = 10
    expired, again = exchange.board.sweep()
    assert [held.body["data"] for held in expired] == [1]
    assert again is not None
    exchange.now = 15
    expired, again = exchange.board.sweep()
    assert [held.body["data"] for held in expired] == [2]
    assert again is None
    assert exchange.is_empty()
    assert exchange.board._held_bytes == 0
    exchange.arrive("bob2")
    exchange.board.lost("bob2")
    assert exchange.sweeps == 2


def test_a_peer_that_is_forgotten_expires_at_once(exchange: Exchange) -> None:
    exchange.arrive("bob1")
    exchange.board.lost("bob1")
    exchange.send(1)
    exchange.board.forget(ROOM, "Bob")
    expired, again = exchange.board.sweep()
    assert [held.body["data"] for held in expired] == [1]
    assert again is None
    assert exchange.send() == Outcome()


def test_a_peer_lost_in_a_crash_is_waited_for(exchange: Exchange) -> None:
    exchange.board.lost("gone", Seat(ROOM, "Bob"))
    exchange.send(1)
    assert exchange.arrive("bob1") == [1]


def test_relaying_between_two_sockets_asks_the_database_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(
        Settings(database_url=f"sqlite:///{tmp_path}/presence.db", upload_dir=str(tmp_path / "up"))
    )
    run: Runtime = app.extensions["presence"]
    sent: list[Any] = []
    monkeypatch.setattr(run.switchboard, "_is_connected", lambda sid: True)
    monkeypatch.setattr(run.sockets, "send", lambda sid, event, body: sent.append((event, sid)))
    monkeypatch.setattr(
        run.socketio.server, "emit", lambda event, body, **to: sent.append((event, to["to"]))
    )
    run.switchboard.enter("sid1", ROOM, "Alice")
    run.switchboard.enter("sid2", ROOM, "Bob")

    def refuse() -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(database, "reading", refuse)
    monkeypatch.setattr(database, "writing", refuse)
    answer = signals.on_signal(run, "sid1", {"to": "Bob", "data": 1})
    assert (answer["status"], answer["to_session"]) == ("delivered", "sid2")
    assert signals.on_broadcast(run, "sid1", {"event": "x", "data": 1})["status"] == "delivered"
    assert sent == [("signal", "sid2"), ("broadcast", channel(ROOM))]
    with pytest.raises(AssertionError, match="asked"):
        signals.on_signal(run, "sid1", {"to": "Nobody", "data": 1})


def test_without_a_line_to_another_process_a_signal_to_its_peer_is_not_called_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(
        Settings(database_url=f"sqlite:///{tmp_path}/presence.db", upload_dir=str(tmp_path / "up"))
    )
    run: Runtime = app.extensions["presence"]
    with app.app_context():
        schema.upgrade()
    monkeypatch.setattr(
        "presence.domain.peers.peers.sockets", lambda *_: [("a", "w1"), ("b", "w2")]
    )
    run.switchboard.enter("sid1", ROOM, "Alice")
    for message in ({"to": "Bob", "data": 1}, {"to": "Bob", "data": 1, "to_session": "a"}):
        with pytest.raises(PeerUnreachable, match="Nothing was sent"):
            signals.on_signal(run, "sid1", message)
