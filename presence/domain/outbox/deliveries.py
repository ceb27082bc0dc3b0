"""What webhooks have not taken yet: room by room, in order, shared out among the workers.

A room's events go to a webhook one piece after the other: whoever sends some of them holds the
room's lease until they are taken or refused, so that nothing overtakes them. Rooms do not wait for
each other. Leases are written and compared on the database's clock; one whose worker has died, or
that has run out, is no lease any more, and what was being sent is sent again.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session, aliased

from presence.domain.outbox import event_log
from presence.domain.outbox.event_log import Told
from presence.storage import database
from presence.storage.instants import UtcDateTime
from presence.storage.models import (
    REASON_LENGTH,
    Event,
    WebhookFailure,
    WebhookQueue,
    Worker,
)
from presence.storage.prepared import Now, Prepared

# Longer than a request may take.
LEASE = timedelta(seconds=30)
# For how long events are sent again before they count as failed.
PATIENCE = timedelta(days=3)
# The longest wait between two attempts.
_MAX_WAIT = 900.0
# How many events of a room go together at least, where so many wait.
_LEAST_EACH = 4


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events that a worker may send now, and the rooms that wait for what comes of it.

    ``is_all`` tells that nothing else of these rooms is known to wait.
    """

    hook: str
    lease: str
    rooms: tuple[str, ...]
    events: list[Told]
    is_all: bool


def any_due(session: Session, hook: str, now: datetime, *, again: bool) -> bool:
    """Tell whether `claim` may find anything, as the clock of this machine has it."""
    return bool(_DUE[again].rows(session, of_hook=hook, now=now))


def claim(
    session: Session,
    hook: str,
    worker_id: str,
    *,
    again: bool,
    rooms: int,
    events: int,
    max_bytes: int,
) -> Batch | None:
    """Lease rooms whose events are due, and return the oldest of these events; None if none are.

    With `again` one room that was refused before, by itself; else up to `rooms` others. Their facts
    have no more than `max_bytes`, unless it is one event.
    """
    free = _FIND[again].rows(session, of_hook=hook, most=1 if again else rooms)
    if not free:
        return None
    names = [name for name, _ in free]
    until = free[0][1] + LEASE
    lease = secrets.token_hex(8)
    _LEASE.later(session, of_hook=hook, rooms=names, own=lease, worker=worker_id, until=until)
    # No more of each than may be needed: thousands may wait in each.
    each = max(_LEAST_EACH, 2 * events // len(names))
    found = _PENDING.rows(session, of_hook=hook, rooms=names, most=events, others=each - 1)
    if not found:
        # Their events are gone.
        session.execute(
            delete(WebhookQueue)
            .where(WebhookQueue.hook == hook, WebhookQueue.room_name.in_(names))
            .execution_options(synchronize_session=False)
        )
        return None
    fitting = _fitting(found, max_bytes)
    of_room = Counter(event.room_name for event in fitting)
    is_all = len(fitting) == len(found) < events and max(of_room.values()) < each
    return Batch(hook, lease, tuple(sorted(names)), fitting, is_all)


def taken(session: Session, batch: Batch) -> None:
    """Note that a webhook has taken the events of a batch."""
    last = {event.room_name: event.position for event in batch.events}
    whose = {"of_hook": batch.hook, "of_lease": batch.lease}
    _HOLD.later(session, **whose, rooms=list(batch.rooms))
    _TAKEN.later(session, **whose, positions=list(last.values()))
    for room_name in batch.rooms:
        if room_name not in last:
            _RELEASE.later(session, **whose, room=room_name)
    _DROP_DONE.later(session, of_hook=batch.hook, rooms=list(batch.rooms))


def refused(
    session: Session, batch: Batch, error: str, *, alone: bool, wait: float | None = None
) -> None:
    """Note that a webhook has not taken the events of a batch, and when they are to be sent again.

    With `alone` it has answered, so one room's events may be the reason: each of these rooms is
    tried by itself then. What has been refused for `PATIENCE` is given up.
    """
    now = database.now(session)
    queue = WebhookQueue
    rows = session.execute(
        select(queue.room_name, queue.after, queue.attempts, queue.failing_since, queue.last)
        .where(*_leased(batch))
        .order_by(queue.room_name)
        .with_for_update()
    ).all()
    concerned = {event.room_name for event in batch.events}
    whose = {"of_hook": batch.hook, "of_lease": batch.lease}
    for row in rows:
        if row.room_name not in concerned:
            _RELEASE.later(session, **whose, room=row.room_name)
            continue
        since = row.failing_since or now
        attempts = row.attempts + 1 if alone or row.attempts else 0
        seconds = wait if wait is not None else wait_after(attempts)
        if alone and not row.attempts and len(concerned) > 1:
            seconds = 0.0
        after = row.after
        if since <= now - PATIENCE:
            after = _give_up(session, batch, row, now, error)
        _REFUSED.later(
            session,
            of_hook=batch.hook,
            of_lease=batch.lease,
            room=row.room_name,
            given_up=after,
            times=attempts,
            since=since,
            why=error[:REASON_LENGTH],
            again_at=now + timedelta(seconds=seconds),
        )
    _DROP_DONE.later(session, of_hook=batch.hook, rooms=list(batch.rooms))


def wait_after(attempts: int) -> float:
    """Return for how many seconds a room waits after so many attempts that have failed."""
    return float(min(2 ** min(attempts, 20), _MAX_WAIT))


def _fitting(rows: Sequence[Sequence[Any]], max_bytes: int) -> list[Told]:
    """Return as many events as may go together."""
    events = list(map(Told._make, rows))
    size = 0
    for number, event in enumerate(events):
        size += len(event.facts)
        if number and size > max_bytes:
            return events[:number]
    return events


def _leased(batch: Batch) -> tuple[ColumnElement[bool], ...]:
    return (WebhookQueue.hook == batch.hook, WebhookQueue.lease == batch.lease)


def _give_up(
    session: Session, batch: Batch, row: Row[*tuple[object, ...]], now: datetime, error: str
) -> int:
    """Note events of a room as failed: those just refused, and whatever else is as old."""
    refused = max(e.position for e in batch.events if e.room_name == row.room_name)
    old = session.scalar(
        select(func.max(Event.position)).where(
            Event.room_name == row.room_name,
            Event.position > row.after,
            Event.position <= row.last,
            Event.at <= now - PATIENCE,
        )
    )
    last = max(refused, old or 0)
    session.add(
        WebhookFailure(
            hook=batch.hook,
            room_name=row.room_name,
            after=row.after,
            last=last,
            failed_at=now,
            error=error[:REASON_LENGTH],
        )
    )
    session.flush()
    return last


_DUE = {
    again: Prepared(
        select(WebhookQueue.hook)
        .where(
            WebhookQueue.hook == bindparam("of_hook"),
            WebhookQueue.due_at <= bindparam("now"),
            WebhookQueue.attempts > 0 if again else WebhookQueue.attempts == 0,
        )
        .limit(1)
    )
    for again in (False, True)
}
_FREE_ROOM = or_(
    WebhookQueue.leased_by.is_(None),
    WebhookQueue.leased_until < Now(),
    ~exists().where(Worker.id == WebhookQueue.leased_by),
)
_FIND = {
    again: Prepared(
        select(WebhookQueue.room_name, type_coerce(Now(), UtcDateTime))
        .where(
            WebhookQueue.hook == bindparam("of_hook"),
            WebhookQueue.due_at <= Now(),
            WebhookQueue.attempts > 0 if again else WebhookQueue.attempts == 0,
            _FREE_ROOM,
        )
        .order_by(WebhookQueue.due_at)
        .limit(bindparam("most", type_=BigInteger))
        .with_for_update(skip_locked=True, of=WebhookQueue)
    )
    for again in (False, True)
}
_OF_ROOMS = (
    WebhookQueue.hook == bindparam("of_hook"),
    WebhookQueue.room_name.in_(bindparam("rooms", expanding=True)),
)
_LEASE = Prepared(
    update(WebhookQueue)
    .where(*_OF_ROOMS)
    .values(lease=bindparam("own"), leased_by=bindparam("worker"), leased_until=bindparam("until"))
)
_Early = aliased(Event)
_UNTIL = (
    select(
        WebhookQueue.room_name,
        WebhookQueue.after,
        WebhookQueue.last,
        select(_Early.position)
        .where(_Early.room_name == WebhookQueue.room_name, _Early.position > WebhookQueue.after)
        .order_by(_Early.position)
        .limit(1)
        .offset(bindparam("others", type_=BigInteger))
        .scalar_subquery()
        .label("enough"),
    )
    .where(*_OF_ROOMS)
    .cte("until")
    .prefix_with("MATERIALIZED")
)
_PENDING = Prepared(
    select(*event_log.columns())
    .join(
        _UNTIL,
        and_(
            _UNTIL.c.room_name == Event.room_name,
            Event.position > _UNTIL.c.after,
            Event.position <= func.coalesce(_UNTIL.c.enough, _UNTIL.c.last),
            Event.position <= _UNTIL.c.last,
        ),
    )
    .order_by(Event.position)
    .limit(bindparam("most", type_=BigInteger))
)
_OWN = (
    WebhookQueue.hook == bindparam("of_hook"),
    WebhookQueue.room_name == bindparam("room"),
    WebhookQueue.lease == bindparam("of_lease"),
)
_FREE = {"lease": None, "leased_by": None, "leased_until": None}
_RELEASE = Prepared(update(WebhookQueue).where(*_OWN).values(due_at=Now(), **_FREE))
# In one order, like everybody who locks several of them and waits for one.
_HOLD = Prepared(
    select(WebhookQueue.room_name)
    .where(*_OF_ROOMS, WebhookQueue.lease == bindparam("of_lease"))
    .order_by(WebhookQueue.room_name)
    .with_for_update()
)
# The last events that were taken of each room.
_LAST = (
    select(Event.room_name, Event.position)
    .where(Event.position.in_(bindparam("positions", expanding=True)))
    .cte("taken")
    .prefix_with("MATERIALIZED")
)
_TAKEN = Prepared(
    update(WebhookQueue)
    .where(
        WebhookQueue.hook == bindparam("of_hook"),
        WebhookQueue.room_name == _LAST.c.room_name,
        WebhookQueue.lease == bindparam("of_lease"),
    )
    .values(
        after=_LAST.c.position,
        due_at=Now(),
        attempts=0,
        failing_since=None,
        error=None,
        **_FREE,
    )
)
_REFUSED = Prepared(
    update(WebhookQueue)
    .where(*_OWN)
    .values(
        after=bindparam("given_up"),
        attempts=bindparam("times"),
        failing_since=bindparam("since"),
        error=bindparam("why"),
        due_at=bindparam("again_at"),
        **_FREE,
    )
)
_DROP_DONE = Prepared(
    delete(WebhookQueue).where(
        WebhookQueue.hook == bindparam("of_hook"),
        WebhookQueue.room_name.in_(bindparam("rooms", expanding=True)),
        WebhookQueue.after >= WebhookQueue.last,
    )
)
