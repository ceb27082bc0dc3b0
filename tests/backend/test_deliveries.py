"""Who may send what: leases, waits and what is given up, as the database has them."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from local_cluster.waiting import eventually
from presence.domain.outbox import deliveries, event_log, queues, standings
from presence.domain.outbox.deliveries import Batch
from presence.domain.peers import workers
from presence.storage import database, schema
from presence.storage.models import Event, WebhookFailure, WebhookQueue, Worker
from tests.backend.log_calls import HOOK, change, make_rooms, order
from tests.support.bare_domain import WORKER

OTHER = "o" * 32


@pytest.fixture
def session(app: Flask) -> Generator[Session]:
    """A session over four events: two of room a, then one of b and one of c."""
    with app.app_context():
        schema.upgrade()
        make_rooms("a", "b", "c")
        with database.writing() as made:
            for worker in (WORKER, OTHER):
                workers.register(made, worker, alone=False)
        for name in ("a", "a", "b", "c"):
            change(name)
        order()
        with database.writing() as made:
            yield made


def claim(
    session: Session, worker: str = WORKER, *, again: bool = False, events: int = 100
) -> Batch | None:
    return deliveries.claim(
        session, HOOK, worker, again=again, rooms=10, events=events, max_bytes=10_000
    )


def claimed(session: Session, worker: str = WORKER, **how: bool | int) -> Batch:
    # SQLite's clock tells whole milliseconds: what is due now is due within the next one.
    batch = eventually(
        lambda: claim(session, worker, **how),  # type: ignore[arg-type]
        "events are due",
        interval=0.001,
    )
    assert batch is not None
    return batch


def names(batch: Batch | None) -> list[str]:
    return [event.room_name for event in batch.events] if batch else []


def let_pass(session: Session, seconds: float) -> None:
    """Let everything that is noted in the queue be so much longer ago."""
    for row in session.execute(select(WebhookQueue.__table__)).mappings().all():
        earlier: dict[str, datetime] = {
            name: row[name] - timedelta(seconds=seconds)
            for name in ("due_at", "failing_since", "leased_until")
            if row[name] is not None
        }
        session.execute(
            update(WebhookQueue).where(WebhookQueue.room_name == row["room_name"]).values(**earlier)
        )


def test_a_room_is_sent_by_one_at_a_time_and_in_pieces(session: Session) -> None:
    first = claimed(session, events=1)
    assert names(first) == ["a"]
    assert claim(session, OTHER) is None
    deliveries.taken(session, first)
    second = claimed(session, OTHER)
    assert names(second) == ["a", "b", "c"]
    assert second.events[0].position == 2
    deliveries.taken(session, second)
    assert claim(session) is None
    assert session.scalars(select(WebhookQueue)).all() == []


@pytest.mark.parametrize("end", ["death", "time"])
def test_what_a_dead_worker_was_sending_is_sent_by_another(session: Session, end: str) -> None:
    lost = claimed(session, OTHER)
    assert claim(session) is None
    if end == "death":
        session.execute(delete(Worker).where(Worker.id == OTHER))
    else:
        let_pass(session, 31)
    taken_over = claimed(session)
    assert names(taken_over) == names(lost)
    # Whoever comes back from the dead does not settle what is not its own any more.
    deliveries.refused(session, lost, "late", alone=True)
    deliveries.taken(session, taken_over)
    assert claim(session) is None


def test_rooms_that_are_refused_together_are_tried_each_by_itself(session: Session) -> None:
    deliveries.refused(session, claimed(session), "it answered 500", alone=True)
    assert claim(session) is None
    tried = []
    for _ in range(3):
        batch = claimed(session, again=True)
        assert len(batch.rooms) == 1
        tried.append(batch.rooms[0])
        if batch.rooms == ("b",):
            deliveries.refused(session, batch, "it answered 500", alone=True)
        else:
            deliveries.taken(session, batch)
    assert sorted(tried) == ["a", "b", "c"]
    assert claim(session, again=True) is None
    waits = []
    for _ in range(12):
        (due,) = session.scalars(select(WebhookQueue.due_at)).all()
        waits.append(round((due - database.now(session)).total_seconds()))
        let_pass(session, 1000)
        deliveries.refused(session, claimed(session, again=True), "no", alone=True)
    assert waits == [4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]


def test_nothing_counts_against_rooms_while_nobody_is_there(session: Session) -> None:
    deliveries.refused(session, claimed(session), "it cannot be reached", alone=False)
    assert claim(session) is None
    let_pass(session, 2)
    assert names(claim(session)) == ["a", "a", "b", "c"]


def test_what_is_refused_for_three_days_is_given_up_and_may_be_sent_once_more(
    session: Session,
) -> None:
    deliveries.refused(session, claimed(session), "it answered 500", alone=True)
    batch = claimed(session, again=True)
    room = batch.rooms[0]
    deliveries.refused(session, batch, "it answered 500", alone=True)
    let_pass(session, deliveries.PATIENCE.total_seconds() + 1)
    while (batch := claimed(session, again=True)).rooms != (room,):
        deliveries.taken(session, batch)
    deliveries.refused(session, batch, "it answered 500", alone=True)
    (failure,) = session.scalars(select(WebhookFailure)).all()
    assert (failure.room_name, failure.error) == (room, "it answered 500")
    standing = standings.standings(session, [HOOK])[0]
    assert standing.failed == len(batch.events)
    event_log.forget(session, database.now(session) + timedelta(seconds=1), 0, 100)
    kept = session.scalars(select(Event.position).where(Event.room_name == room)).all()
    assert list(kept) == [event.position for event in batch.events]
    assert queues.retry_failed(session) == 1
    while (again := claimed(session)).rooms != (room,):
        deliveries.taken(session, again)
    assert [e.uid for e in again.events] == [e.uid for e in batch.events]


def test_a_request_is_not_too_large(session: Session) -> None:
    batch = deliveries.claim(session, HOOK, WORKER, again=False, rooms=10, events=100, max_bytes=0)
    assert names(batch) == ["a"]


def test_what_waits_for_a_webhook_that_is_no_more_is_forgotten(session: Session) -> None:
    assert queues.tidy(session, ["another"]) == 0
    rooms = len(session.scalars(select(WebhookQueue)).all())
    assert rooms
    let_pass(session, 7200)
    assert queues.tidy(session, ["another"]) == rooms, "it is said what was lost"
    assert session.scalars(select(WebhookQueue)).all() == []
