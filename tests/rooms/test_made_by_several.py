"""Who joins a room while somebody else makes it changes it after that one, never beside it."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import create_app
from local_cluster.private_postgresql import PrivatePostgresql
from presence.config import Settings
from presence.domain.outbox import outbox
from presence.domain.outbox.outbox import Wanted
from presence.domain.peers import peers, sessions, workers
from presence.domain.peers.limits import Limits
from presence.domain.peers.results import Joined
from presence.domain.peers.sessions import SocketPresence
from presence.domain.permissions import room_patterns
from presence.domain.rooms import rooms
from presence.domain.values import clock
from presence.setting_values import EVENT_TYPES
from presence.storage import database, schema
from presence.storage.models import Outbox
from tests.support.bare_domain import WORKER

JOINING = 4
# PRESENCE_TEST_ROUNDS makes it a campaign: one in some hundred rooms was made in such a moment.
ROOMS = 20 * int(os.environ.get("PRESENCE_TEST_ROUNDS", "3"))


@pytest.fixture
def shared(postgresql: PrivatePostgresql) -> Generator[Flask]:
    """The app over an empty PostgreSQL, in which several transactions are under way at once."""
    made = create_app(Settings(database_url=postgresql.new_database()))
    with made.app_context():
        schema.upgrade()
        with database.writing() as session:
            workers.register(session, WORKER, alone=True)
        yield made


def tells(session: Session) -> None:
    session.info[outbox.WANTED] = Wanted(
        frozenset(EVENT_TYPES), [room_patterns.parse("*")], lambda: None
    )


def join(app: Flask, room_name: str, peer_id: str) -> Joined:
    with app.app_context(), database.writing() as session:
        tells(session)
        return peers.join(
            session,
            room_name=room_name,
            peer_id=peer_id,
            username=peer_id,
            new_data={},
            presence=SocketPresence(f"socket of {peer_id} in {room_name}", WORKER),
            limits=Limits(max_peers=10, max_user_data_bytes=1_000),
        )


def elsewhere(do: Any, *arguments: Any) -> None:
    """Do something in another transaction, which is over when this returns."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(do, *arguments).result(30)


def between_change_and_look(monkeypatch: pytest.MonkeyPatch, do: Any, *arguments: Any) -> None:
    """Do something once, after a transaction has changed a room and before it looks at it."""
    change, done = rooms.change_soon, threading.Event()

    def change_and_wait(session: Session, name: str) -> None:
        change(session, name)
        if not done.is_set():
            done.set()
            session.execute(select(1))  # what was told is sent
            elsewhere(do, *arguments)

    monkeypatch.setattr(rooms, "change_soon", change_and_wait)


def version_of(app: Flask, name: str) -> int:
    with app.app_context(), database.reading() as session:
        return rooms.versions(session, [name])[name]


def told(app: Flask) -> list[tuple[str, int, str]]:
    with app.app_context(), database.reading() as session:
        rows = session.execute(
            select(Outbox.room_name, Outbox.version, Outbox.type).order_by(Outbox.id)
        )
        return [(row[0], row[1], row[2]) for row in rows]


def test_a_room_that_is_made_in_the_moment_of_a_look_is_changed_after_that(
    shared: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_change_and_look(monkeypatch, join, shared, "r", "maker")
    assert join(shared, "r", "second").version == 2
    assert version_of(shared, "r") == 2
    assert told(shared) == [("r", 1, "room_made"), ("r", 1, "peer_joined"), ("r", 2, "peer_joined")]


def test_a_socket_that_ends_takes_no_version_back_that_others_made(
    shared: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_change_and_look(monkeypatch, join, shared, "r", "maker")
    with shared.app_context(), database.writing() as session:
        assert sessions.end_socket(session, "of nobody", in_room="r") is None
    assert version_of(shared, "r") == 1


def test_what_changes_nothing_is_told_with_a_version_that_is_no_older_than_what_was_told_before(
    shared: Flask,
) -> None:
    join(shared, "r", "maker")

    def tell() -> None:
        with shared.app_context(), database.writing() as session:
            tells(session)
            outbox.tell_alone(
                session,
                outbox.BROADCAST_SENT,
                room_name="r",
                at=clock.now(),
                peer_id="maker",
                facts={},
            )

    with database.writing() as session:
        tells(session)
        room = rooms.change(session, "r")
        telling = threading.Thread(target=tell)
        telling.start()
        telling.join(0.3)
        assert telling.is_alive(), "the room is being changed"
        outbox.tell(session, outbox.ROOM_EMPTIED, room, clock.now())
    telling.join(30)
    assert told(shared)[-2:] == [("r", 2, "room_emptied"), ("r", 2, "broadcast_sent")]


def test_many_that_make_the_same_rooms_get_a_version_each_and_are_told_of_in_that_order(
    shared: Flask,
) -> None:
    together = threading.Barrier(JOINING)

    def join_all(peer_id: str) -> list[Joined]:
        joined = []
        for number in range(ROOMS):
            together.wait(30)
            joined.append(join(shared, f"r{number}", peer_id))
        return joined

    with ThreadPoolExecutor(JOINING) as pool:
        found = [one for many in pool.map(join_all, "abcd"[:JOINING]) for one in many]
    versions = Counter((one.room_name, one.version) for one in found)
    assert {place: times for place, times in versions.items() if times > 1} == {}
    events = told(shared)
    for number in range(ROOMS):
        of_room = [version for name, version, _ in events if name == f"r{number}"]
        assert of_room == sorted(of_room)
