"""Who reads on by cursors misses nothing, in whatever order transactions are committed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Generator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import create_app
from local_cluster.private_postgresql import PrivatePostgresql
from presence.config import Settings
from presence.domain.outbox import deliveries, event_log
from presence.domain.rooms import rooms
from presence.domain.values import clock
from presence.errors import RoomNotFound
from presence.storage import database, schema
from presence.storage.models import Event
from tests.backend.log_calls import HOOK, change, make_rooms, order, read, tell
from tests.support.bare_domain import WORKER

WRITERS, ROOMS, WRITES = 8, 4, 40


@pytest.fixture
def tables(app: Flask) -> Generator[None]:
    with app.app_context():
        schema.upgrade()
        make_rooms("a", "b")
        yield


@pytest.fixture
def shared(postgresql: PrivatePostgresql) -> Generator[Flask]:
    """The app over an empty PostgreSQL, in which several transactions are under way at once."""
    made = create_app(Settings(database_url=postgresql.new_database()))
    with made.app_context():
        schema.upgrade()
        yield made


def test_what_is_committed_later_than_what_began_later_is_read_later(shared: Flask) -> None:
    make_rooms("a", "b")
    began, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with shared.app_context(), database.writing() as session:
            tell(session, rooms.change(session, "a"))
            session.execute(select(1))  # what was told is sent
            began.set()
            go_on.wait(30)

    thread = threading.Thread(target=slow)
    thread.start()
    assert began.wait(30)
    change("b")
    assert order() == 1
    first = read(0)
    assert [event.room_name for event in first.events] == ["b"]
    go_on.set()
    thread.join()
    assert order() == 1
    assert [event.room_name for event in read(first.position).events] == ["a"]


@pytest.mark.parametrize("page", [1, 7, 1000])
def test_readers_see_all_that_many_write_at_once_and_each_room_in_order(
    shared: Flask, page: int
) -> None:
    names = [f"r{number}" for number in range(ROOMS)]
    make_rooms(*names)
    is_over = threading.Event()
    committed: list[tuple[str, int]] = []
    rolled_back: list[tuple[str, int]] = []

    def write(number: int) -> None:
        chance = random.Random(number)
        for _ in range(WRITES):
            with shared.app_context():
                try:
                    with database.writing() as session:
                        changed = [
                            rooms.change(session, name)
                            for name in sorted(chance.sample(names, chance.choice([1, 1, 2])))
                        ]
                        for room in changed:
                            tell(session, room)
                        if chance.random() < 0.3:
                            session.execute(select(1))
                            time.sleep(chance.random() / 50)
                        if chance.random() < 0.2:
                            rolled_back.extend((r.name, r.version) for r in changed)
                            raise RoomNotFound("x")
                    committed.extend((room.name, room.version) for room in changed)
                except RoomNotFound:
                    pass

    def place() -> None:
        while not is_over.is_set():
            with shared.app_context():
                order()

    seen: list[event_log.Told] = []

    def follow() -> None:
        position = 0
        while True:
            was_over = is_over.is_set()
            with shared.app_context():
                found = read(position, page)
            seen.extend(found.events)
            position = found.position
            if was_over and found.is_last:
                return

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    others = [threading.Thread(target=place) for _ in range(2)] + [threading.Thread(target=follow)]
    for thread in [*writers, *others]:
        thread.start()
    for thread in writers:
        thread.join()
    with shared.app_context():
        while True:
            order()
            with database.reading() as session:
                if not event_log.any_waiting(session):
                    break
    is_over.set()
    for thread in others:
        thread.join()
    told = [(event.room_name, event.version) for event in seen]
    assert len(told) == len(set(told)), "each once"
    assert sorted(told) == sorted(committed), "all that was committed, and nothing else"
    for name in names:
        versions = [version for room, version in told if room == name]
        assert versions == sorted(versions)
    assert [event.position for event in seen] == list(range(1, len(seen) + 1))


def test_an_event_has_its_place_for_ever(tables: None) -> None:
    for _ in range(3):
        change("a")
        order()
    first = read(0)
    assert [event.position for event in first.events] == [1, 2, 3]
    assert first.is_last
    with database.writing() as session:
        for table in ("webhook_queue",):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")
        later = clock.now() + timedelta(seconds=1)
        assert event_log.forget(session, later, 0, 100) == (3, None)
    assert read(0).events == []
    change("a")
    order()
    assert [event.position for event in read(0).events] == [4]
    with database.reading() as session:
        assert event_log.ends(session) == (4, 3)


def test_what_a_webhook_waits_for_is_not_forgotten(tables: None) -> None:
    for name in ("a", "b", "a"):
        change(name)
        order()
    with database.writing() as session:
        batch = deliveries.claim(
            session, HOOK, WORKER, again=False, rooms=1, events=10, max_bytes=1000
        )
        assert batch is not None
        assert batch.rooms == ("a",)
        deliveries.taken(session, batch)
    with database.writing() as session:
        event_log.forget(session, clock.now() + timedelta(seconds=1), 0, 100)
        assert session.scalars(select(Event.room_name)).all() == ["b"]
